"""Decision trees as tensors: what YDF has learnt, in variables of a checkpoint, and its predictions in TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from headway.feature_columns._protocol import DenseColumn, FeatureColumn, IdColumn
from headway.feature_columns._transformed_batch import TransformedBatch
from headway.heads._checks import stop_unless

Array = npt.NDArray[Any]

PREFIX = "trees"
# Under which a checkpoint holds YDF's own model, serialised, in base 64.
YDF_MODEL = "ydf_model"
_BITS = 32
_FLOATS = ("threshold", "value", "gain", "initial")


@dataclasses.dataclass(frozen=True)
class TreeInputs:
    """What trees see of a row: numbers, of which NaN is missing, and ids, of which -1 is missing.

    Attributes:
      numbers: columns of numbers, each of whose values is a feature.
      ids: columns with one id in each row; bucketized ones are among the numbers.
    """

    numbers: tuple[DenseColumn, ...]
    ids: tuple[IdColumn, ...]

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """All of them."""
        return (*self.numbers, *self.ids)

    @property
    def names(self) -> list[str]:
        """The name of each feature: those of the numbers first."""
        numbers = []
        for column in self.numbers:
            width = 1 if isinstance(column, IdColumn) else column.width
            numbers += [column.name] if width == 1 else [f"{column.name}/{i}" for i in range(width)]
        return [*numbers, *(column.name for column in self.ids)]

    def of(self, transformed: Mapping[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the numbers, float32 `[B, n]`, and the ids, int64 `[B, m]`, of a transformed batch."""
        inputs = TransformedBatch(transformed, self.columns)
        rows = tf.cast(inputs.num_rows, tf.int32)
        numbers = [tf.zeros([rows, 0])]
        for column in self.numbers:
            if isinstance(column, IdColumn):
                place = _one_id(inputs, column)
                # The buckets are in the order of the numbers that fall into them.
                numbers.append(tf.where(place < 0, float("nan"), tf.cast(place, tf.float32)))
            else:
                numbers.append(column.device_dense(inputs))
        ids = [tf.zeros([rows, 0], tf.int64), *(_one_id(inputs, column) for column in self.ids)]
        return tf.concat(numbers, 1), tf.concat(ids, 1)


def _one_id(inputs: TransformedBatch, column: IdColumn) -> tf.Tensor:
    """Returns the id of each row, int64 `[B, 1]`, -1 where there is none."""
    ids = inputs.lookup(column).dense_ids()
    if ids.shape[1] == 1:
        return ids
    several = (
        f"Trees take one value of a categorical column in each row. Feature column {column.name!r} has several: wrap "
        f"it, `indicator_column({column.name})`."
    )
    # A sparse or ragged feature, as serialised examples have it, may hold one value in each row all the same.
    most = tf.reduce_max(tf.concat([tf.math.count_nonzero(ids >= 0, 1), [0]], 0))
    ids = stop_unless(most <= 1, f"{several} Number of values in a row: ", [most], then=ids)
    return tf.maximum(tf.reduce_max(ids, 1, keepdims=True), -1)


@dataclasses.dataclass(frozen=True)
class Forest:
    """Trees as arrays, by the name that each has in a checkpoint behind `trees/`.

    Nodes are numbered over all trees. Attributes of `arrays`:
      roots: int32 `[trees]`; the trees of the outputs take turns.
      feature: int32 `[nodes]`, in the order of `TreeInputs.names`.
      threshold: float32 `[nodes]`: a number goes the second way if it is at least this.
      mask: int32 `[nodes]`: where in `words` the set of codes begins that go the second way.
      missing: int32 `[nodes]`: the way of a missing value, 0 or 1.
      children: int32 `[nodes * 2]`: the nodes at the ends of the two ways; a leaf has itself.
      value: float32 `[nodes]`: what a leaf adds to the output.
      gain: float32 `[nodes]`: by how much a condition has lowered the loss in training.
      words: int32: sets of codes, a bit for each.
      codes: int32: the code of each id, column after column.
      initial: float32 `[outputs]`.
      depth: int32: the most steps from a root to a leaf.
    """

    arrays: Mapping[str, Array]

    @classmethod
    def read(cls, path: str) -> Forest:
        """Returns the forest of a checkpoint."""
        names = [name for name, _ in tf.train.list_variables(path) if name.startswith(f"{PREFIX}/")]
        return cls({name.removeprefix(f"{PREFIX}/"): np.asarray(tf.train.load_variable(path, name)) for name in names})

    @property
    def tensors(self) -> dict[str, tf.Tensor]:
        """What a checkpoint holds, by full name."""
        return {f"{PREFIX}/{name}": tf.constant(values) for name, values in self.arrays.items()}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each array."""
        return {name: values.shape for name, values in self.arrays.items()}


def dtype_of(name: str) -> tf.DType:
    """Returns the type of one of `Forest.arrays`."""
    return tf.float32 if name in _FLOATS else tf.int32


def outputs(
    forest: Mapping[str, tf.Tensor], numbers: tf.Tensor, ids: tf.Tensor, buckets: Sequence[int], units: int
) -> tf.Tensor:
    """Returns the sum of the leaves that each row comes to, float32 `[B, units]`.

    Friedman 2001, https://doi.org/10.1214/aos/1013203451: F(x) = F_0 + sum_m h(x; a_m), where h is a tree.

    Args:
      forest: tensors of `Forest.arrays`.
      numbers: float32 `[B, n]`.
      ids: int64 `[B, m]`.
      buckets: number of ids of each of the m columns.
      units: number of outputs.
    """
    rows, size = tf.shape(numbers)[0], int(numbers.shape[1])
    starts = np.concatenate([[0], np.cumsum(buckets)])[:-1].astype(np.int64)
    known = tf.logical_and(ids >= 0, ids < np.asarray(buckets, np.int64))
    codes = tf.where(known, tf.gather(forest["codes"], tf.where(known, ids, 0) + starts), -1)
    # A value in front, for conditions that do not look at this kind.
    numbers, codes = (tf.pad(values, [[0, 0], [1, 0]]) for values in (numbers, codes))
    node = tf.tile(tf.expand_dims(forest["roots"], 0), [rows, 1])

    def one_step(step: tf.Tensor, node: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        feature = tf.gather(forest["feature"], node)
        is_number = feature < size
        number = tf.gather(numbers, tf.where(is_number, feature + 1, 0), batch_dims=1)
        code = tf.gather(codes, tf.where(is_number, 0, feature - size + 1), batch_dims=1)
        is_missing = tf.where(is_number, tf.math.is_nan(number), code < 0)
        code = tf.maximum(code, 0)
        word = tf.gather(forest["words"], tf.where(is_number, 0, tf.gather(forest["mask"], node) + code // _BITS))
        bit = tf.bitwise.bitwise_and(tf.bitwise.right_shift(word, code % _BITS), 1)
        above = tf.cast(number >= tf.gather(forest["threshold"], node), tf.int32)
        way = tf.where(is_missing, tf.gather(forest["missing"], node), tf.where(is_number, above, bit))
        return step + 1, tf.gather(forest["children"], 2 * node + way)

    _, node = tf.while_loop(
        lambda step, node: step < forest["depth"],
        one_step,
        (tf.constant(0), node),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None])),
    )
    leaves = tf.reshape(tf.gather(forest["value"], node), [rows, tf.size(forest["roots"]) // units, units])
    return tf.reduce_sum(leaves, 1) + forest["initial"]


def forest_of(model: Any, ydf: Any, inputs: TreeInputs) -> Forest:
    """Returns the trees of a YDF model.

    Args:
      model: a gradient-boosted trees model, trained on columns named by their position in `inputs.names`.
      ydf: the module.
      inputs: what the trees see.

    Raises:
      ValueError: if a tree has a condition of another kind than `number >= threshold` and `id in set`.
    """
    columns = {column.name: column for column in model.data_spec().columns}
    flat = _Flat(
        ydf,
        {feature.column_idx: int(feature.name) for feature in model.input_features()},
        {int(name): spec.categorical.number_of_unique_values for name, spec in columns.items() if name.isdigit()},
    )
    for tree in model.iter_trees():
        flat.add_tree(tree)
    codes: list[int] = []
    first = len(inputs.names) - len(inputs.ids)
    for position, column in enumerate(inputs.ids, start=first):
        spec = columns.get(str(position))
        items = {} if spec is None else spec.categorical.items
        # What YDF has not seen, or too rarely, has the code 0.
        found = {int(key): item.index for key, item in items.items() if key.isdigit()}
        codes += [found.get(i, 0) for i in range(column.num_buckets)]
    return Forest(
        {
            **flat.arrays(),
            "codes": np.asarray(codes or [0], np.int32),
            "initial": np.asarray(model.initial_predictions(), np.float32),
        }
    )


class _Flat:
    """Collects the nodes of trees.

    Args:
      ydf: the module.
      place: YDF's number of a feature -> its place in `TreeInputs.names`.
      num_codes: number of codes of each feature of ids, by its place.
    """

    def __init__(self, ydf: Any, place: Mapping[int, int], num_codes: Mapping[int, int]) -> None:
        self._ydf, self._place, self._num_codes = ydf, place, num_codes
        self._roots: list[int] = []
        self._nodes: list[tuple[int, float, int, int, float, float]] = []
        self._children: list[list[int]] = []
        self._words: list[int] = [0]
        self._depth = 0

    def add_tree(self, tree: Any) -> None:
        """Takes in a tree."""
        self._roots.append(self._add(tree.root, 0))

    def _add(self, node: Any, depth: int) -> int:
        number = len(self._nodes)
        self._depth = max(self._depth, depth)
        if node.is_leaf:
            self._nodes.append((0, 0.0, 0, 0, float(node.value.value), 0.0))
            self._children.append([number, number])
            return number
        self._nodes.append(self._condition(node.condition, node.value.num_examples))
        self._children.append([number, number])
        self._children[number] = [self._add(child, depth + 1) for child in (node.neg_child, node.pos_child)]
        return number

    def _condition(self, condition: Any, examples: float) -> tuple[int, float, int, int, float, float]:
        # YDF's score is the mean over the rows that come to the node.
        tree, gain = self._ydf.tree, condition.score * examples
        if isinstance(condition, tree.NumericalHigherThanCondition):
            place = self._place[condition.attribute]
            return place, float(condition.threshold), 0, int(condition.missing), 0.0, gain
        if isinstance(condition, tree.CategoricalIsInCondition):
            place, start = self._place[condition.attribute], len(self._words)
            words = [0] * (self._num_codes[place] // _BITS + 1)
            for code in condition.mask:
                words[code // _BITS] |= 1 << code % _BITS
            self._words += words
            return place, 0.0, start, int(condition.missing), 0.0, gain
        raise ValueError(
            f"Trees have a condition that headway does not know: {type(condition).__name__}. Leave out what asks for "
            "it in `learner_options`, such as another `split_axis`."
        )

    def arrays(self) -> dict[str, Array]:
        """Returns what has been collected, as in `Forest.arrays`."""
        feature, threshold, mask, missing, value, gain = zip(*self._nodes, strict=True)
        return {
            "roots": np.asarray(self._roots, np.int32),
            "feature": np.asarray(feature, np.int32),
            "threshold": np.asarray(threshold, np.float32),
            "mask": np.asarray(mask, np.int32),
            "missing": np.asarray(missing, np.int32),
            "children": np.asarray(self._children, np.int32).reshape(-1),
            "value": np.asarray(value, np.float32),
            "gain": np.asarray(gain, np.float32),
            "words": np.asarray(self._words, np.uint32).view(np.int32),
            "depth": np.asarray(self._depth, np.int32),
        }
