"""Gradient-boosted trees, which YDF learns, behind the face of an estimator."""

from __future__ import annotations

import base64
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import _arguments, _input, _trees
from headway.estimators._canned_hidden import checked_count
from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import CannedEstimator, classification_head, names_argument
from headway.estimators._estimator import Estimator
from headway.estimators._readable import readable_errors
from headway.estimators._run_config import RunConfig
from headway.estimators._trees import Array, Forest, TreeInputs
from headway.feature_columns import FeatureColumn
from headway.feature_columns._checks import check_columns
from headway.feature_columns._embedding import EmbeddingColumn
from headway.feature_columns._protocol import DenseColumn, IdColumn, SequenceColumn
from headway.feature_columns._shared_embedding import SharedEmbeddingColumn
from headway.feature_columns._weighted import WeightedCategoricalColumn
from headway.heads import Head, RegressionHead
from headway.heads._extra_metrics import Given

_NO_YDF = (
    "Gradient-boosted trees need YDF, which is not installed. Install headway with its extra 'trees' "
    "(`pip install headway[trees]`), or the package ydf."
)
_SEED, _LABEL, _WEIGHT = 123456, "label", "weight"


class _TreesPart:
    """What YDF has learnt, as the one part of a model.

    Args:
      inputs: what the trees see.

    Attributes:
      shapes: the shapes of the forest's arrays in the checkpoint at hand.
    """

    def __init__(self, inputs: TreeInputs) -> None:
        self.inputs = inputs
        self.shapes: dict[str, tuple[int, ...]] = {}

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """Those that the trees see."""
        return self.inputs.columns

    def optimizer(self) -> Any:
        """Raises: trees have none."""
        raise ValueError("Trees are not trained step by step: there is no graph of their training.")

    def logits(
        self,
        features: Mapping[str, Any],
        units: int,
        shared: dict[str, tf.Variable],
        *,
        training: bool,
        seed: int | None,
    ) -> tuple[tf.Tensor, list[tf.Variable]]:
        """Returns float32 `[B, units]`; there is nothing to train."""
        del training, seed
        variables = Variables(_trees.PREFIX, shared)
        forest = {
            name: tf.convert_to_tensor(
                variables(name, shape, lambda shape, dtype: tf.zeros(shape, dtype), _trees.dtype_of(name), False)
            )
            for name, shape in self.shapes.items()
        }
        numbers, ids = self.inputs.of(features)
        return _trees.outputs(forest, numbers, ids, [column.num_buckets for column in self.inputs.ids], units), []


class _Trees(CannedEstimator):
    """What the classifier and the regressor have in common.

    Args:
      head: the head.
      columns: the columns, as the caller gave them.
      weight_column: what the head reads from the features.
      n_classes: number of classes; None for numbers.
      options: arguments of YDF's learner.
      model_dir: see `Estimator`.
      config: see `Estimator`.
    """

    _takes_nan: ClassVar[bool] = True  # a number that is not there is a value like others

    def __init__(
        self,
        head: Head,
        columns: Any,
        weight_column: Any,
        n_classes: int | None,
        options: Mapping[str, Any],
        *,
        model_dir: Any,
        config: RunConfig | None,
    ) -> None:
        self._ydf = _ydf()
        self._n_classes, self._options = n_classes, dict(options)
        self._part = _TreesPart(_tree_inputs(columns))
        if config is None or isinstance(config, RunConfig):
            # A number that is not there is a value like others.
            config = (config or RunConfig()).replace(check_input=False)
        super().__init__(head, [self._part], weight_column, model_dir=model_dir, config=config)

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> Estimator:
        """Learns trees from the whole input, and writes them as a checkpoint.

        They take the place of those that are there: trees do not go on from a checkpoint. The global step counts all
        trees that have been learnt.

        Args:
          input_fn: as in `Estimator.train`. All rows are kept in memory, so the input must end.
          hooks: must be None: there are no steps at which hooks might act.
          steps: number of batches to read; None for all.
          max_steps: must be None: the number of trees is an argument of the estimator.
          saving_listeners: must be None.

        Returns:
          The estimator itself.

        Raises:
          ValueError: if the input is empty or never ends, or YDF cannot learn from it.
        """
        for name, value in (("hooks", hooks), ("max_steps", max_steps), ("saving_listeners", saving_listeners)):
            if value:
                raise ValueError(
                    f"`{name}` has no meaning for trees, which are not trained step by step. Received: {value!r}. How "
                    "many trees there are is said by `n_trees`."
                )
        steps = _arguments.steps_or_none("steps", steps)
        _input.check_input_fn(input_fn)
        self._check_writable()
        numbers, ids, labels, weights = self._all_rows(input_fn, steps)
        model = self._learned(numbers, ids, labels, weights)
        forest = _trees.forest_of(model, self._ydf, self._part.inputs)
        latest = self._directory.latest()
        step = int(model.num_trees()) + (0 if latest is None else latest.step)
        if self._config.is_chief:
            tensors = {"global_step": tf.constant(step, tf.int64), **forest.tensors}
            # As text: NumPy cuts zeros off the end of bytes.
            text = base64.b64encode(model.serialize())
            self._directory.write(step, {**tensors, _trees.YDF_MODEL: tf.constant(text)})
        logger.info("Learnt %d trees from %d rows.", model.num_trees(), len(labels))
        return self

    fit = train

    def _all_rows(self, input_fn: Callable[..., Any], steps: int | None) -> tuple[Array, Array, Array, Array]:
        """Returns the numbers, ids, labels and weights of all rows."""
        strategy = tf.distribute.get_strategy()
        parts: list[tuple[Array, ...]] = []
        with readable_errors():
            pipeline = _input.call_input_fn(input_fn, ModeKeys.TRAIN, self._params, self._config, strategy)
            dataset = pipeline.map_batches(self._input_transform).dataset()
            if steps is not None:
                dataset = dataset.take(steps)
            elif dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
                raise ValueError(
                    "The input of training never ends, and trees learn from all rows together. Let it end "
                    "(`num_epochs=1`, no `repeat()`), or say with `steps` how many batches are read."
                )
            for batch in dataset:
                if not isinstance(batch, tuple) or len(batch) != 2:
                    raise ValueError("input_fn must return features and labels to learn from. Received no labels.")
                parts.append(self._part_of(*batch))
        if not sum(len(part[0]) for part in parts):
            raise ValueError("The input of training is empty: input_fn gave no row. Check what it reads.")
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]

    def _part_of(self, features: Any, labels: Any) -> tuple[Array, ...]:
        numbers, ids = self._part.inputs.of(features)
        logits = tf.zeros([tf.shape(numbers)[0], self._head.logits_dimension])
        of_head: Any = self._head
        found, weights = of_head.labels_and_weights(labels, logits, features)
        return numbers.numpy(), ids.numpy(), found.numpy(), weights.numpy()

    def _learned(self, numbers: Array, ids: Array, labels: Array, weights: Array) -> Any:
        """Returns YDF's model of the rows; its features are named by their places."""
        ydf, width = self._ydf, numbers.shape[1]
        counts = weights > 0
        numbers, ids, labels, weights = numbers[counts], ids[counts], labels[counts], weights[counts]
        data: dict[str, Any] = {str(i): numbers[:, i] for i in range(width)}
        columns = [ydf.Column(name, ydf.Semantic.NUMERICAL) for name in data]
        for i in range(ids.shape[1]):
            # As words: YDF keeps those that are frequent enough, and has an empty one for what is missing.
            data[str(width + i)] = np.where(ids[:, i] < 0, "", ids[:, i].astype(str))
            columns.append(ydf.Column(str(width + i), ydf.Semantic.CATEGORICAL))
        options = {"random_seed": _SEED, **self._options}
        if self._config.tf_random_seed is not None:
            options["random_seed"] = self._config.tf_random_seed
        if self._n_classes is None:
            data[_LABEL] = labels.astype("float32")
            options["task"] = ydf.Task.REGRESSION
        else:
            between = labels[labels != np.round(labels)]
            if len(between):
                raise ValueError(
                    f"Labels of trees must be classes, 0 or 1 and nothing between. Received: {between[0]}."
                )
            data[_LABEL] = labels.astype("int64").astype(str)
            options["label_classes"] = [str(i) for i in range(self._n_classes)]
        if len(weights) and np.any(weights != weights[0]):
            data[_WEIGHT], options["weights"] = weights, _WEIGHT
        try:
            return ydf.GradientBoostedTreesLearner(label=_LABEL, features=columns, **options).train(data, verbose=0)
        except (ValueError, TypeError) as error:
            raise ValueError(f"YDF cannot learn trees from this input: {error}") from error

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Evaluates the trees; see `Estimator.evaluate`."""
        self._at(checkpoint_path)
        return super().evaluate(input_fn, steps, hooks, checkpoint_path, name)

    def predict(
        self,
        input_fn: Callable[..., Any],
        predict_keys: Sequence[str] | str | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        yield_single_examples: bool = True,
    ) -> Iterator[Any]:
        """Yields predictions; see `Estimator.predict`."""
        self._at(checkpoint_path)
        return super().predict(input_fn, predict_keys, hooks, checkpoint_path, yield_single_examples)

    def export_saved_model(self, export_dir_base: str | os.PathLike[str], *args: Any, **kwargs: Any) -> bytes:
        """Writes the trees as a SavedModel, which needs no YDF; see `Estimator.export_saved_model`."""
        path = args[3] if len(args) > 3 else kwargs.get("checkpoint_path")
        self._at(path)
        return super().export_saved_model(export_dir_base, *args, **kwargs)

    def to_keras(self, checkpoint_path: str | os.PathLike[str] | None = None) -> Any:
        """Returns a Keras 3 model of raw features with the trees; see `Estimator.to_keras`."""
        self._at(checkpoint_path)
        return super().to_keras(checkpoint_path)

    def feature_importances(self, normalize: bool = True) -> dict[str, float]:
        """Returns by how much the conditions on each feature have lowered the loss in training, the most first.

        Args:
          normalize: whether they add up to one.

        Raises:
          ValueError: if there are no trees yet.
        """
        sums = dict.fromkeys(self._part.inputs.names, 0.0)
        forest = Forest.read(self._trained_path()).arrays
        names = list(sums)
        for feature, gain in zip(forest["feature"], forest["gain"], strict=True):
            sums[names[feature]] += float(gain)
        whole = sum(sums.values()) if normalize else 1.0
        ordered = sorted(sums.items(), key=lambda item: -item[1])
        return {name: gain / whole if whole else 0.0 for name, gain in ordered}

    def ydf_model(self) -> Any:
        """Returns YDF's own model, to look at trees and analyse them; its features are named by their places.

        The names belong to `feature_names`.

        Raises:
          ValueError: if there are no trees yet.
        """
        text = self.get_variable_value(_trees.YDF_MODEL).item()
        return self._ydf.deserialize_model(base64.b64decode(text))

    @property
    def feature_names(self) -> list[str]:
        """What each feature of the trees is: the name of its column, and the place in it where that has several."""
        return self._part.inputs.names

    def _at(self, path: str | os.PathLike[str] | None) -> None:
        """Gets ready for the trees of a checkpoint, the newest by default, whose number may be another one."""
        shapes = Forest.read(os.fspath(path or self._trained_path())).shapes
        if shapes != self._part.shapes:
            self._part.shapes = shapes
            self._runtimes.renew()


def _ydf() -> Any:
    try:
        return importlib.import_module("ydf")
    except ImportError as error:
        raise ImportError(_NO_YDF) from error


def _tree_inputs(columns: Any) -> TreeInputs:
    """Returns what trees make of columns, in the order of their names."""
    numbers: list[DenseColumn] = []
    ids: list[IdColumn] = []
    for column in names_argument("feature_columns", lambda: tuple(check_columns(columns))):
        if isinstance(column, EmbeddingColumn | SharedEmbeddingColumn):
            column = column.categorical_column
        if isinstance(column, SequenceColumn) or getattr(column, "sequence", None) is not None:
            raise ValueError(f"`feature_columns`: {column.name!r} is a sequence, and trees take none.")
        if isinstance(column, WeightedCategoricalColumn):
            raise ValueError(
                f"`feature_columns`: trees know no weights of ids. Wrap {column.name!r}: `indicator_column(column)`."
            )
        if isinstance(column, DenseColumn):
            numbers.append(column)
        else:
            assert isinstance(column, IdColumn)
            ids.append(column)
    names = [column.name for column in (*numbers, *ids)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"`feature_columns` must hold each column once. Received more than once: {twice}.")
    return TreeInputs(
        tuple(sorted(numbers, key=lambda column: column.name)), tuple(sorted(ids, key=lambda column: column.name))
    )


def _options(
    n_trees: Any,
    max_depth: Any,
    learning_rate: Any,
    l1_regularization: Any,
    l2_regularization: Any,
    min_examples: Any,
    subsample: Any,
    validation_ratio: Any,
    learner_options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Returns the arguments of YDF's learner, checked."""
    between = {"learning_rate": learning_rate, "subsample": subsample}
    for name, value in {**between, "validation_ratio": validation_ratio}.items():
        is_number = hasattr(value, "__float__") and not isinstance(value, bool)
        if not is_number or not 0 <= value <= 1 or (not value and name in between):
            raise ValueError(f"`{name}` must be a number up to 1{' above 0' * (name in between)}. Received: {value!r}.")
    for name, value in (("l1_regularization", l1_regularization), ("l2_regularization", l2_regularization)):
        if isinstance(value, bool | str) or not hasattr(value, "__float__") or not value >= 0:
            raise ValueError(f"`{name}` must be a number of at least 0. Received: {value!r}.")
    return {
        "num_trees": checked_count(n_trees, "n_trees"),
        "max_depth": checked_count(max_depth, "max_depth"),
        "shrinkage": float(learning_rate),
        "l1_regularization": float(l1_regularization),
        "l2_regularization": float(l2_regularization),
        "min_examples": checked_count(min_examples, "min_examples"),
        "subsample": float(subsample),
        "validation_ratio": float(validation_ratio),
        **(learner_options or {}),
    }


class GradientBoostedTreesClassifier(_Trees):
    """Classifies with gradient-boosted decision trees.

    Friedman 2001, https://doi.org/10.1214/aos/1013203451; learnt by YDF, Guillame-Bert et al. 2023,
    https://arxiv.org/abs/2212.02934 (headway's extra 'trees'). On tables they are often as good as a network, in
    seconds and without scaling or tuning. Numbers that are NaN and ids that are missing have a way of their own.

    The trees are kept in the checkpoint as arrays, and evaluated by TensorFlow: `evaluate`, `predict` and
    `export_saved_model` work as those of any estimator, and a SavedModel needs no YDF.

    Args:
      feature_columns: numeric, bucketized and indicator columns, whose values are numbers, and categorical columns of
        one value in each row as they are. Of an embedding column the categorical one inside is taken, so that the
        columns of a deep model will do.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      n_trees: the most trees to learn (for each class, where there are more than two).
      max_depth: the most conditions from the root of a tree to a leaf.
      learning_rate: what each tree is multiplied by.
      l1_regularization: penalty on the values of leaves.
      l2_regularization: penalty on the squares of the values of leaves.
      min_examples: the fewest rows in a leaf.
      subsample: the share of rows that each tree sees.
      validation_ratio: the share of rows that are held out, to stop where further trees do not help; 0 for none.
      learner_options: further arguments of `ydf.GradientBoostedTreesLearner`, by name.
      config: a `RunConfig`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.
      ImportError: if YDF is not installed.

    Example:
      >>> import numpy as np
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import GradientBoostedTreesClassifier, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = np.arange(100.0)
      >>> rows = from_arrays({"x": x}, (x > 40).astype(int), batch_size=100)
      >>> columns = [fc.numeric_column("x")]
      >>> model = GradientBoostedTreesClassifier(columns, n_trees=20, config=RunConfig(progress="none"))
      >>> float(model.train(rows).evaluate(rows)["accuracy"])
      1.0
      >>> model.feature_importances()
      {'x': 1.0}
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Sequence[str] | None = None,
        n_trees: int = 300,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        l1_regularization: float = 0.0,
        l2_regularization: float = 0.0,
        min_examples: int = 5,
        subsample: float = 1.0,
        validation_ratio: float = 0.1,
        learner_options: Mapping[str, Any] | None = None,
        config: RunConfig | None = None,
        metrics: Given = None,
    ) -> None:
        regularization = l1_regularization, l2_regularization
        rows = min_examples, subsample, validation_ratio
        super().__init__(
            classification_head(n_classes, weight_column, label_vocabulary, "sum_over_batch_size", metrics=metrics),
            feature_columns,
            weight_column,
            int(n_classes),
            _options(n_trees, max_depth, learning_rate, *regularization, *rows, learner_options),
            model_dir=model_dir,
            config=config,
        )


class GradientBoostedTreesRegressor(_Trees):
    """Predicts a number with gradient-boosted decision trees, trained on the squared error.

    See `GradientBoostedTreesClassifier`, also for the arguments.

    Args:
      feature_columns: see `GradientBoostedTreesClassifier`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      weight_column: name of the feature with the weights of examples, or a numeric column of it.
      n_trees: the most trees to learn.
      max_depth: see `GradientBoostedTreesClassifier`.
      learning_rate: see `GradientBoostedTreesClassifier`.
      l1_regularization: see `GradientBoostedTreesClassifier`.
      l2_regularization: see `GradientBoostedTreesClassifier`.
      min_examples: see `GradientBoostedTreesClassifier`.
      subsample: see `GradientBoostedTreesClassifier`.
      validation_ratio: see `GradientBoostedTreesClassifier`.
      learner_options: see `GradientBoostedTreesClassifier`.
      config: a `RunConfig`.
      metrics: further metrics; see `headway.heads.RegressionHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.
      ImportError: if YDF is not installed.

    Example:
      >>> import numpy as np
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import GradientBoostedTreesRegressor, RunConfig
      >>> from headway.input_pipelines import from_arrays
      >>> x = np.arange(100.0)
      >>> rows = from_arrays({"x": x}, np.where(x > 40, 7.0, 2.0), batch_size=100)
      >>> model = GradientBoostedTreesRegressor([fc.numeric_column("x")], config=RunConfig(progress="none"))
      >>> [round(float(row["predictions"][0]), 3) for row in model.train(rows).predict(rows)][39:43]
      [2.0, 2.0, 7.0, 7.0]
    """

    def __init__(
        self,
        feature_columns: Iterable[FeatureColumn],
        model_dir: str | os.PathLike[str] | None = None,
        *,
        weight_column: str | FeatureColumn | None = None,
        n_trees: int = 300,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        l1_regularization: float = 0.0,
        l2_regularization: float = 0.0,
        min_examples: int = 5,
        subsample: float = 1.0,
        validation_ratio: float = 0.1,
        learner_options: Mapping[str, Any] | None = None,
        config: RunConfig | None = None,
        metrics: Given = None,
    ) -> None:
        regularization = l1_regularization, l2_regularization
        rows = min_examples, subsample, validation_ratio
        super().__init__(
            RegressionHead(1, weight_column, metrics=metrics),
            feature_columns,
            weight_column,
            None,
            _options(n_trees, max_depth, learning_rate, *regularization, *rows, learner_options),
            model_dir=model_dir,
            config=config,
        )
