"""What an exported model receives: placeholders, and the features that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from headway.estimators import _structure

_FEATURE = "feature"
_LABEL = "label"
_INPUT = "input"


class _ServingFields(NamedTuple):
    features: Any
    receiver_tensors: dict[str, Any]
    receiver_tensors_alternatives: dict[str, dict[str, Any]] | None


class _SupervisedFields(NamedTuple):
    features: Any
    labels: Any
    receiver_tensors: dict[str, Any]


class ServingInputReceiver(_ServingFields):
    """What a `serving_input_receiver_fn` returns: the tensors that clients send, and the features made of them.

    Args:
      features: dict of names to Tensors, SparseTensors or RaggedTensors, for the model_fn; a tensor alone becomes
        `{"feature": tensor}`.
      receiver_tensors: placeholder, or dict of names to placeholders: the inputs of the exported signatures. A
        placeholder alone gets the name 'input'.
      receiver_tensors_alternatives: name -> another placeholder, or dict of such, that clients may send instead, in
        signatures named `<name>:<output>`; or None.

    Raises:
      ValueError: if a part is missing, a name is no string, or a value no tensor.

    Example:
      >>> with tf.Graph().as_default():
      ...     x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
      ...     receiver = ServingInputReceiver({"x": x}, x)
      >>> sorted(receiver.features), sorted(receiver.receiver_tensors)
      (['x'], ['input'])
    """

    __slots__ = ()

    def __new__(
        cls, features: Any, receiver_tensors: Any, receiver_tensors_alternatives: Mapping[str, Any] | None = None
    ) -> ServingInputReceiver:
        """Validates the fields and makes the tuple."""
        features = _named(features, "feature", _FEATURE, integers=True)
        receivers = _named(receiver_tensors, "receiver_tensor", _INPUT)
        alternatives = None
        if receiver_tensors_alternatives is not None:
            if not isinstance(receiver_tensors_alternatives, Mapping):
                raise ValueError(f"receiver_tensors_alternatives must be a dict: {receiver_tensors_alternatives}.")
            alternatives = {
                name: _named(tensors, "receiver_tensors_alternative", _INPUT)
                for name, tensors in receiver_tensors_alternatives.items()
            }
        return super().__new__(cls, features, receivers, alternatives)


class TensorServingInputReceiver(_ServingFields):
    """A `ServingInputReceiver` for a model_fn whose features are one tensor, not a dict.

    Args:
      features: the tensor.
      receiver_tensors: see `ServingInputReceiver`.
      receiver_tensors_alternatives: see `ServingInputReceiver`.

    Raises:
      ValueError: if a part is missing, a name is no string, or a value no tensor.

    Example:
      >>> with tf.Graph().as_default():
      ...     x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
      ...     receiver = TensorServingInputReceiver(x, {"pixels": x})
      >>> receiver.features is receiver.receiver_tensors["pixels"]
      True
    """

    __slots__ = ()

    def __new__(
        cls, features: Any, receiver_tensors: Any, receiver_tensors_alternatives: Mapping[str, Any] | None = None
    ) -> TensorServingInputReceiver:
        """Validates the fields and makes the tuple."""
        if features is None:
            raise ValueError("features must be defined. Give the tensor that model_fn is to receive.")
        _check_tensor(features, "", "feature")
        receiver = ServingInputReceiver(features, receiver_tensors, receiver_tensors_alternatives)
        return super().__new__(cls, features, receiver.receiver_tensors, receiver.receiver_tensors_alternatives)


class UnsupervisedInputReceiver(ServingInputReceiver):
    """A `ServingInputReceiver` for exporting training or evaluation of a model without labels.

    Args:
      features: see `ServingInputReceiver`.
      receiver_tensors: see `ServingInputReceiver`.

    Raises:
      ValueError: if a part is missing, a name is no string, or a value no tensor.

    Example:
      >>> with tf.Graph().as_default():
      ...     x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
      ...     receiver = UnsupervisedInputReceiver({"x": x}, {"x": x})
      >>> receiver.receiver_tensors_alternatives is None
      True
    """

    __slots__ = ()

    def __new__(cls, features: Any, receiver_tensors: Any) -> UnsupervisedInputReceiver:
        """Validates the fields and makes the tuple."""
        made: UnsupervisedInputReceiver = super().__new__(cls, features, receiver_tensors)  # type: ignore[assignment]
        return made


class SupervisedInputReceiver(_SupervisedFields):
    """What an input receiver function returns for exporting training or evaluation: features and labels.

    Args:
      features: a tensor, or dict of names to tensors, which model_fn receives as it is.
      labels: a tensor, or dict of names to tensors, likewise.
      receiver_tensors: see `ServingInputReceiver`.

    Raises:
      ValueError: if a part is missing, a name is no string, or a value no tensor.

    Example:
      >>> with tf.Graph().as_default():
      ...     x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
      ...     y = tf.compat.v1.placeholder(tf.float32, [None], name="y")
      ...     receiver = SupervisedInputReceiver({"x": x}, y, {"x": x, "y": y})
      >>> receiver.labels.dtype
      tf.float32
    """

    __slots__ = ()

    def __new__(cls, features: Any, labels: Any, receiver_tensors: Any) -> SupervisedInputReceiver:
        """Validates the fields and makes the tuple."""
        _named(features, "feature", _FEATURE, integers=True)
        _named(labels, "label", _LABEL, integers=True)
        return super().__new__(cls, features, labels, _named(receiver_tensors, "receiver_tensor", _INPUT))


Receiver = ServingInputReceiver | TensorServingInputReceiver | SupervisedInputReceiver


def build_parsing_serving_input_receiver_fn(
    feature_spec: Mapping[str, Any], default_batch_size: int | None = None
) -> Callable[[], ServingInputReceiver]:
    """Returns a `serving_input_receiver_fn` for clients that send serialised `tf.Example`s.

    Args:
      feature_spec: name -> `tf.io.FixedLenFeature`, `tf.io.VarLenFeature`, ..., as
        `feature_columns.make_parse_example_spec` returns it.
      default_batch_size: number of examples in a request; None for any number.

    Returns:
      A function for `Estimator.export_saved_model`. The input of its signatures is the string tensor 'examples', of
      shape `[batch]`.

    Example:
      >>> receiver_fn = build_parsing_serving_input_receiver_fn({"x": tf.io.FixedLenFeature([2], tf.float32)})
      >>> with tf.Graph().as_default():
      ...     receiver = receiver_fn()
      >>> receiver.receiver_tensors["examples"].dtype, receiver.features["x"].shape
      (tf.string, TensorShape([None, 2]))
    """

    def serving_input_receiver_fn() -> ServingInputReceiver:
        examples = tf.compat.v1.placeholder(tf.string, [default_batch_size], name="input_example_tensor")
        return ServingInputReceiver(tf.io.parse_example(examples, dict(feature_spec)), {"examples": examples})

    return serving_input_receiver_fn


def build_raw_serving_input_receiver_fn(
    features: Mapping[str, Any], default_batch_size: int | None = None
) -> Callable[[], ServingInputReceiver]:
    """Returns a `serving_input_receiver_fn` for clients that send each feature as a tensor of its own.

    Args:
      features: name -> tensor (its values do not matter) or `tf.TensorSpec`, batch first.
      default_batch_size: number of rows in a request; None for any number.

    Returns:
      A function for `Estimator.export_saved_model`.

    Example:
      >>> receiver_fn = build_raw_serving_input_receiver_fn({"x": tf.zeros([1, 2])})
      >>> with tf.Graph().as_default():
      ...     receiver = receiver_fn()
      >>> receiver.receiver_tensors["x"].shape
      TensorShape([None, 2])
    """
    specs = {name: _structure.spec_of_value(value) for name, value in features.items()}

    def serving_input_receiver_fn() -> ServingInputReceiver:
        tensors = {name: _placeholder(name, spec, default_batch_size) for name, spec in specs.items()}
        return ServingInputReceiver(tensors, tensors)

    return serving_input_receiver_fn


def build_raw_supervised_input_receiver_fn(
    features: Any, labels: Any, default_batch_size: int | None = None
) -> Callable[[], SupervisedInputReceiver]:
    """Returns an input receiver function for exporting training or evaluation.

    Args:
      features: a tensor or `tf.TensorSpec`, or dict of names to such, as model_fn receives them.
      labels: likewise.
      default_batch_size: number of rows in a request; None for any number.

    Returns:
      A function for `Estimator.experimental_export_all_saved_models`. A feature tensor alone gets the name 'input', a
      label tensor alone the name 'label'.

    Raises:
      ValueError: if a feature and a label have the same name.

    Example:
      >>> receiver_fn = build_raw_supervised_input_receiver_fn({"x": tf.zeros([1])}, tf.zeros([1]))
      >>> with tf.Graph().as_default():
      ...     print(sorted(receiver_fn().receiver_tensors))
      ['label', 'x']
    """
    feature_specs = {_INPUT: features} if not isinstance(features, Mapping) else dict(features)
    label_specs = {_LABEL: labels} if not isinstance(labels, Mapping) else dict(labels)
    overlap = set(feature_specs) & set(label_specs)
    if overlap:
        raise ValueError(
            f"Features and labels must have distinct keys. Found overlapping keys: {overlap}. They are the names of "
            "the signature's inputs: rename one of each pair."
        )
    specs = {name: _structure.spec_of_value(value) for name, value in {**feature_specs, **label_specs}.items()}

    def supervised_input_receiver_fn() -> SupervisedInputReceiver:
        tensors = {name: _placeholder(name, spec, default_batch_size) for name, spec in specs.items()}
        return SupervisedInputReceiver(
            {name: tensors[name] for name in features} if isinstance(features, Mapping) else tensors[_INPUT],
            {name: tensors[name] for name in labels} if isinstance(labels, Mapping) else tensors[_LABEL],
            tensors,
        )

    return supervised_input_receiver_fn


def build_supervised_input_receiver_fn_from_input_fn(
    input_fn: Callable[..., Any], **input_fn_args: Any
) -> Callable[[], SupervisedInputReceiver]:
    """Returns an input receiver function for features and labels such as an `input_fn` gives.

    Args:
      input_fn: a function that returns a `tf.data.Dataset` of `(features, labels)` batches, a headway pipeline, or
        tensors; or a pipeline. It is called once, and nothing is read.
      **input_fn_args: its arguments.

    Returns:
      A function for `Estimator.experimental_export_all_saved_models`.

    Raises:
      ValueError: if the input_fn gives no labels.

    Example:
      >>> from headway import input_pipelines
      >>> rows = input_pipelines.from_arrays({"x": [1.0, 2.0]}, [0, 1], batch_size=2)
      >>> receiver_fn = build_supervised_input_receiver_fn_from_input_fn(rows)
      >>> with tf.Graph().as_default():
      ...     print(receiver_fn().labels.dtype)
      <dtype: 'int64'>
    """
    features, labels = _structure.split_batch(element_spec_of(input_fn(**input_fn_args)))
    if labels is None:
        raise ValueError(
            f"input_fn ({input_fn}) gives no labels. Training and evaluation are exported with labels: return "
            "(features, labels), or write a function that returns an UnsupervisedInputReceiver."
        )
    return build_raw_supervised_input_receiver_fn(features, labels)


def receiver_fn_like(example: Any) -> Callable[[], Receiver]:
    """Returns a receiver function whose clients send features such as those of an example.

    Args:
      example: what an input_fn may return (a pipeline, a dataset, a batch), arrays or a data frame in place of
        tensors, or specs; labels are left out.

    Raises:
      ValueError: if a feature has no batch axis.
    """
    features, _ = _structure.split_batch(element_spec_of(example))
    flat = _flat_names(features)
    for name, spec in flat.items():
        if spec.shape.rank == 0:
            raise ValueError(
                f"Each feature of an example must have the batch on axis 0. Received the scalar {name!r}: {spec}. "
                f"Give a batch: [{name}]."
            )

    def serving_input_receiver_fn() -> Receiver:
        tensors = {name: _placeholder(name, spec, None) for name, spec in flat.items()}
        structure = tf.nest.pack_sequence_as(features, list(tensors.values()))
        if isinstance(features, Mapping):
            # A dict of dicts is no dict of tensors, which the public class asks for.
            return ServingInputReceiver(tensors, tensors)._replace(features=structure)
        return TensorServingInputReceiver(next(iter(tensors.values())), tensors)._replace(features=structure)

    return serving_input_receiver_fn


def example_of_parse_spec(parse_spec: Mapping[str, Any] | None) -> dict[str, tf.TensorSpec] | None:
    """Returns specs of the features that a parse spec reads, one value for each row where their number is open."""
    if parse_spec is None:
        return None
    return {
        name: tf.TensorSpec([None, *getattr(feature, "shape", ())], feature.dtype)
        for name, feature in parse_spec.items()
    }


def element_spec_of(source: Any) -> Any:
    """Returns the specs of the batches of a pipeline or dataset, or of a batch itself."""
    spec = getattr(source, "element_spec", None)
    if spec is not None:
        return spec
    if hasattr(source, "columns") and hasattr(source, "dtypes"):
        source = {str(name): source[name] for name in source.columns}
    return _map_leaves(_structure.spec_of_value, source)


def _map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    # Lists are data here, not structure, as an array may come as a list.
    if isinstance(value, Mapping):
        return {name: _map_leaves(function, part) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(_map_leaves(function, part) for part in value)
    return function(value)


def _flat_names(features: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves in the order of `tf.nest`, each under the path of its keys."""
    if isinstance(features, Mapping):
        items = [(str(name), features[name]) for name in sorted(features)]
    elif isinstance(features, tuple):
        items = [(str(i), part) for i, part in enumerate(features)]
    else:
        return {prefix or _INPUT: features}
    flat: dict[str, Any] = {}
    for name, part in items:
        flat.update(_flat_names(part, f"{prefix}/{name}" if prefix else name))
    return flat


def _placeholder(name: str, spec: Any, batch_size: int | None) -> Any:
    # Names of operations know fewer characters than names of features.
    operation = tf.compat.as_str("".join(c if c.isalnum() or c in "_./-" else "_" for c in name)).lstrip("_./-")
    operation = operation or _INPUT
    if isinstance(spec, tf.SparseTensorSpec):
        rank = spec.shape.rank or 2
        return tf.compat.v1.sparse_placeholder(spec.dtype, [batch_size, *([None] * (rank - 1))], name=operation)
    if isinstance(spec, tf.RaggedTensorSpec):
        inner = list(spec.shape[spec.ragged_rank + 1 :])
        return tf.compat.v1.ragged.placeholder(spec.dtype, spec.ragged_rank, inner, name=operation)
    shape = tf.TensorShape([batch_size]).concatenate(spec.shape[1:]) if spec.shape.rank else spec.shape
    return tf.compat.v1.placeholder(spec.dtype, shape, name=operation)


def _named(tensors: Any, field: str, alone: str, *, integers: bool = False) -> dict[Any, Any]:
    """Returns `tensors` as a dict, checked; a tensor alone gets the name `alone`."""
    if tensors is None:
        raise ValueError(f"{field}s must be defined. Received: None.")
    named = dict(tensors) if isinstance(tensors, Mapping) else {alone: tensors}
    for name, tensor in named.items():
        if not isinstance(name, str) and not (integers and isinstance(name, int)):
            kinds = "strings or ints" if integers else "strings"
            raise ValueError(f"{field} keys must be {kinds}: {name}.")
        _check_tensor(tensor, name, field)
    return named


def _check_tensor(tensor: Any, name: Any, field: str) -> None:
    if not isinstance(tensor, (tf.Tensor, tf.SparseTensor, tf.RaggedTensor)):
        label = f"{field} {name}" if name != "" else field
        raise ValueError(f"{label} must be a Tensor, SparseTensor, or RaggedTensor. Received: {tensor!r}.")
