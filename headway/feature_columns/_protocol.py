"""What a feature column is: the few verbs that the host part and the device part call.

The host part turns the raw features of a whole batch into numbers; the device part turns these into model inputs. A
column belongs to one or more of the kinds below, and each kind adds one verb:

* `FloatColumn.host_floats`: raw features -> float32 `[B, width]`;
* `CategoricalColumn.host_ids`: raw features -> integer ids, dense or ragged, with or without weights;
* `SequenceColumn.host_steps`: raw features -> ids or floats of each step of a sequence;
* `DenseColumn.make_variables` and `device_dense`: what the host part made, and variables -> float32 `[B, width]`, or
  `[B, T, width]` for sequences.

A `FloatColumn` needs no verb on the device: its dense tensor is a slice of the matrix that holds all floats.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Protocol

import tensorflow as tf

from headway.feature_columns import _digest
from headway.feature_columns._values import Ids, Steps, Values


class Initializer(Protocol):
    """A function that makes the first value of a variable, such as a Keras initializer."""

    def __call__(self, shape: Any, dtype: Any = ..., /) -> tf.Tensor:
        """Returns a tensor of `shape` and `dtype`."""


class VariableFactory(Protocol):
    """A function that makes the variable of that name, or returns the one that is there."""

    def __call__(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        dtype: tf.DType = ...,
        trainable: bool = ...,
    ) -> tf.Variable:
        """Returns the variable `name`."""


def scope_of(name: str) -> str:
    """Returns `name` in the letters that one part of a variable's name may have."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", name)


def scope_with_slashes(name: str) -> str:
    """Returns `name` as it is where a variable may have it, with the slashes that it has; else see `scope_of`.

    So Keras 2's `DenseFeatures` named variables, and TensorFlow the tables of shared embeddings.
    """
    return name if re.fullmatch(r"[A-Za-z0-9_.\-/>]+", name) else scope_of(name)


class HostInputs(Protocol):
    """The raw features of a batch, as columns see them. What two columns ask for is computed once."""

    def tensor(self, key: str, *, column: str) -> Any:
        """Returns the raw feature `key` as Tensor, SparseTensor or RaggedTensor; `column` is named in errors."""

    def values(self, key: str, *, column: str) -> Values:
        """Returns the raw feature `key`, strings or integers, as a flat vector; `column` is named in errors."""

    def ids(self, column: CategoricalColumn) -> Ids:
        """Returns the ids of another column."""

    def floats(self, column: FloatColumn) -> tf.Tensor:
        """Returns the floats of another column."""


class Lookup(Protocol):
    """The ids of one categorical column, as the device part sees them."""

    def dense_ids(self) -> tf.Tensor:
        """Returns int64 `[B, n]`, -1 where there is none."""

    def bag(self) -> Lookup:
        """Returns the ids of each row without their division into steps."""

    def counts(self, num_buckets: int) -> tf.Tensor:
        """Returns how often each id occurs in a row or step, or the sum of its weights, float32 `[…, num_buckets]`."""

    def embed(
        self, table: tf.Variable, combiner: str, *, max_norm: float | None = None, every_weight: bool = False
    ) -> tf.Tensor:
        """Returns the combined rows of `table` (`[ids, dim]`), float32 `[B, dim]` or, for sequences, `[B, T, dim]`.

        Rows and steps without ids get zeros. `every_weight`: "mean" and "sqrtn" count weights of zero and less, too.
        """


class DeviceInputs(Protocol):
    """A transformed batch, as columns see it."""

    def floats(self, column: FloatColumn) -> tf.Tensor:
        """Returns the values of a column of floats, float32 `[B, width]`."""

    def lookup(self, column: IdColumn) -> Lookup:
        """Returns the ids of a column."""

    def steps(self, column: SequenceColumn) -> tf.Tensor:
        """Returns the values of a sequence of floats, float32 `[B, T, width]`."""


class Definition:
    """Marks the dataclasses that columns are made of: `fc.save` writes them by their names and fields."""


class Learned(Definition):
    """Stands in a field of a column for a value that `adapt` learns from data."""

    def refuse(self) -> NoReturn:
        """Raises, where the value itself is asked for."""
        raise ValueError(
            f"{self} stands for something that has not been learnt yet. Learn it: `columns = fc.adapt(columns, data)`."
        )

    def __len__(self) -> NoReturn:
        self.refuse()

    def __bool__(self) -> bool:
        return True


class FeatureColumn(Definition, abc.ABC):
    """One column of a model's input. Columns are values: they can be compared, hashed, copied and pickled.

    The functions of `headway.feature_columns` make them; this class is for type annotations and `isinstance`.

    Example:
      >>> from headway import feature_columns as fc
      >>> age = fc.numeric_column("age")
      >>> isinstance(age, fc.FeatureColumn), age.name, age == fc.numeric_column("age")
      (True, 'age', True)
      >>> age.parse_example_spec
      {'age': FixedLenFeature(shape=(1,), dtype=tf.float32, default_value=None)}
    """

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name that is part of the names of the column's variables."""

    @property
    @abc.abstractmethod
    def parse_example_spec(self) -> dict[str, Any]:
        """What `tf.io.parse_example` must read: feature name -> `FixedLenFeature` or `VarLenFeature`."""

    @property
    @abc.abstractmethod
    def parents(self) -> list[FeatureColumn | str]:
        """The columns and raw features that this one is computed from."""

    @property
    def host_columns(self) -> tuple[FeatureColumn, ...]:
        """The columns whose host part must run for this one: `FloatColumn`s and `CategoricalColumn`s."""
        return (self,)

    @property
    def prepares_inputs(self) -> bool:
        """Whether the columns inside of this one read other values than those of the raw features."""
        return False

    def inputs_for_parts(self, inputs: HostInputs) -> HostInputs:
        """Returns what the columns inside of this one read: `inputs`, unless `prepares_inputs`."""
        return inputs

    def resources(self) -> list[Any]:
        """Returns the tables and layers of the host part, which an object that is exported must own."""
        return []

    @functools.cached_property
    def digest(self) -> str:
        """A short name of everything that the column's definition holds; equal for equal definitions."""
        return _digest.digest(self)

    @property
    def variable_scope(self) -> str:
        """`name` in the letters that one part of a variable's name may have."""
        return scope_of(self.name)

    def __getstate__(self) -> dict[str, Any]:
        # The cached digest may hold the address of a function, which means nothing in another process.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class DenseColumn(FeatureColumn):
    """A column that is a float32 tensor `[B, *variable_shape]` in the model, or `[B, T, *variable_shape]`."""

    @property
    @abc.abstractmethod
    def variable_shape(self) -> tf.TensorShape:
        """The shape of the column's tensor without the batch."""

    @property
    def width(self) -> int:
        """The number of values per row."""
        return int(self.variable_shape.num_elements())

    @property
    def sequence(self) -> SequenceColumn | None:
        """The sequence whose steps the tensor has one value for; None for a tensor without steps."""
        return None

    def make_variables(self, variable: VariableFactory) -> tuple[tf.Variable, ...]:
        """Returns the variables that `device_dense` takes; none by default."""
        del variable
        return ()

    @abc.abstractmethod
    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns float32 `[B, width]`, or `[B, T, width]` for a sequence."""


class FloatColumn(DenseColumn):
    """A dense column whose values come ready from the host part."""

    @abc.abstractmethod
    def host_floats(self, inputs: HostInputs) -> tf.Tensor:
        """Returns float32 `[B, width]`, or `[B]` where the width is one."""

    def device_dense(self, inputs: DeviceInputs, *variables: tf.Variable) -> tf.Tensor:
        """Returns float32 `[B, width]`: the column's slice of the matrix of floats."""
        del variables
        return inputs.floats(self)


class IdColumn(FeatureColumn):
    """A column of integer ids in `[0, num_buckets)`, any number of them per row.

    Attributes:
      ids_are_in_range: whether the column itself makes sure that no id is `num_buckets` or more.
    """

    ids_are_in_range: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def num_buckets(self) -> int:
        """The number of different ids."""


class ColumnGroup:
    """Categorical columns of one kind, whose ids are computed together where one operation can do it for all.

    Args:
      columns: the columns.
    """

    def __init__(self, columns: Sequence[Any]) -> None:
        self.columns = list(columns)

    def resources(self) -> list[Any]:
        """Returns the tables of the group, which an object that is exported must own."""
        return []

    def host_ids(self, inputs: HostInputs) -> list[Ids]:
        """Returns the ids of each column, in their order."""
        return [column.host_ids(inputs) for column in self.columns]

    def together(
        self, inputs: HostInputs, values: Mapping[int, Any], fused: Callable[[list[int]], list[Ids]]
    ) -> list[Ids]:
        """Returns the ids of each column: by `fused` of those in `values`, of the others one by one.

        Args:
          inputs: the raw features.
          values: what `fused` works on, by the column's place in `columns`.
          fused: a function of such places, in order, that returns the ids of their columns.
        """
        places = list(values)
        ids = dict(zip(places, fused(places), strict=True)) if len(places) > 1 else {}
        return [ids[place] if place in ids else column.host_ids(inputs) for place, column in enumerate(self.columns)]


class CategoricalColumn(IdColumn):
    """A column of ids that has no steps."""

    group: ClassVar[type[ColumnGroup]] = ColumnGroup
    # Whether the column itself makes sure that no id is less than -1.
    absent_is_minus_one: ClassVar[bool] = False

    @abc.abstractmethod
    def host_ids(self, inputs: HostInputs) -> Ids:
        """Returns the ids of each row; negative ids stand for values that count as absent."""


class SequenceColumn(FeatureColumn):
    """A column of ids or floats for each step of a sequence."""

    @abc.abstractmethod
    def host_steps(self, inputs: HostInputs) -> Steps:
        """Returns what each step of each row holds."""
