"""EstimatorSpec and ModeKeys: the fields, and every rule that they are held to.

The expected messages are those of tf.estimator 2.15, unless a comment says that the rule is headway's own.
"""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from headway import _context
from headway._spec import EstimatorSpec, ModeKeys, PredictOutput, RegressionOutput, is_hook

TRAIN, EVAL, PREDICT = ModeKeys.TRAIN, ModeKeys.EVAL, ModeKeys.PREDICT
DEFAULT_KEY = "serving_default"


class GraphHook(tf.compat.v1.train.SessionRunHook):
    pass


class OwnHook:
    def begin(self, run: Any) -> None: ...

    def due(self, progress: Any) -> bool:
        return False

    def act(self, run: Any) -> None: ...

    def end(self, run: Any) -> None: ...


def in_graph(function: Callable[[], Any]) -> Any:
    """Calls `function` while a tf.function is traced, and returns what it returned."""
    returned = []
    tf.function(lambda: returned.append(function()), autograph=False).get_concrete_function()
    return returned[0]


def scalar() -> tf.Tensor:
    return tf.constant(1.0)


def train_op() -> Any:
    """Returns an operation in a graph, a tensor where operations do not exist."""
    return scalar() if tf.executing_eagerly() else tf.no_op()


def metric_pair() -> tuple[tf.Tensor, tf.Tensor]:
    return scalar(), scalar() + 1.0


BOTH_WAYS = pytest.mark.parametrize("call", [lambda function: function(), in_graph], ids=["eager", "graph"])


def test_mode_keys_are_those_of_tf_estimator() -> None:
    assert (TRAIN, EVAL, PREDICT) == ("train", "eval", "infer")


def test_fields_and_their_order() -> None:
    assert EstimatorSpec._fields == (
        "mode",
        "predictions",
        "loss",
        "train_op",
        "eval_metric_ops",
        "export_outputs",
        "training_chief_hooks",
        "training_hooks",
        "scaffold",
        "evaluation_hooks",
        "prediction_hooks",
    )


@BOTH_WAYS
@pytest.mark.parametrize(
    ("mode", "needed"), [(TRAIN, ("loss", "train_op")), (EVAL, ("loss",)), (PREDICT, ("predictions",))]
)
def test_the_needed_fields_are_enough(call: Callable[..., Any], mode: str, needed: tuple[str, ...]) -> None:
    makers = {"loss": scalar, "train_op": train_op, "predictions": scalar}
    spec = call(lambda: EstimatorSpec(mode, **{name: makers[name]() for name in needed}))
    assert spec.mode == mode
    assert {name for name in ("loss", "train_op") if getattr(spec, name) is not None} == {*needed} - {"predictions"}
    if mode == PREDICT:
        assert isinstance(spec.predictions, tf.Tensor)
    else:
        assert spec.predictions == {}
        assert spec.export_outputs is None
    assert spec.eval_metric_ops == {}
    assert spec.scaffold is None
    hooks = (spec.training_chief_hooks, spec.training_hooks, spec.evaluation_hooks, spec.prediction_hooks)
    assert hooks == ((), (), (), ())


@BOTH_WAYS
@pytest.mark.parametrize("mode", [TRAIN, EVAL, PREDICT])
def test_all_fields_may_be_given_in_every_mode(call: Callable[..., Any], mode: str) -> None:
    graph_hook, own_hook, scaffold = GraphHook(), OwnHook(), tf.compat.v1.train.Scaffold()
    metric = keras.metrics.Mean()

    def build() -> tuple[EstimatorSpec, dict[str, Any]]:
        outputs = {"value": RegressionOutput(scalar())}
        given = {
            "predictions": {"p": scalar()},
            "loss": scalar(),
            "train_op": train_op(),
            "eval_metric_ops": {"mean": metric, "pair": metric_pair()},
            "export_outputs": outputs,
            "training_chief_hooks": [graph_hook],
            "training_hooks": [own_hook],
            "scaffold": scaffold,
            "evaluation_hooks": (graph_hook, own_hook),
            "prediction_hooks": iter([graph_hook]),
        }
        return EstimatorSpec(mode, **given), given

    spec, given = call(build)
    for name in ("predictions", "eval_metric_ops"):
        assert list(getattr(spec, name)) == list(given[name])
    for name in ("loss", "train_op", "scaffold"):
        assert getattr(spec, name) is given[name]
    assert spec.eval_metric_ops["mean"] is metric
    assert spec.training_chief_hooks == (graph_hook,)
    assert spec.training_hooks == (own_hook,)
    assert spec.evaluation_hooks == (graph_hook, own_hook)
    assert spec.prediction_hooks == (graph_hook,)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        # The mode, a rule of headway's own: tf.estimator let an unknown mode pass unchecked.
        (lambda: EstimatorSpec("training"), ValueError, "`mode` must be a ModeKeys value, one of ['train', 'eval',"),
        (lambda: EstimatorSpec(None), ValueError, "Received: None."),
        # Missing fields.
        (lambda: EstimatorSpec(TRAIN), ValueError, "Missing train_op."),
        (lambda: EstimatorSpec(TRAIN, loss=scalar()), ValueError, "Missing train_op."),
        (lambda: EstimatorSpec(TRAIN, train_op=train_op()), ValueError, "Missing loss. In mode 'train'"),
        (lambda: EstimatorSpec(EVAL), ValueError, "Missing loss. In mode 'eval'"),
        (lambda: EstimatorSpec(PREDICT, loss=scalar()), ValueError, "Missing predictions."),
        # Types of tensors.
        (lambda: EstimatorSpec(EVAL, loss=1.0), TypeError, "loss must be Tensor, given: 1.0"),
        (lambda: EstimatorSpec(EVAL, loss=np.float32(1)), TypeError, "loss must be Tensor, given: 1.0"),
        (lambda: EstimatorSpec(EVAL, loss=[scalar()]), TypeError, "loss must be Tensor, given: ["),
        (
            lambda: EstimatorSpec(TRAIN, loss=scalar(), train_op="step"),
            TypeError,
            "train_op must be Operation or Tensor, given: step",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), train_op=1),
            TypeError,
            "train_op must be Operation or Tensor, given: 1",
        ),
        (lambda: EstimatorSpec(PREDICT, predictions=1.0), TypeError, "predictions must be Tensor, given: 1.0"),
        (
            lambda: EstimatorSpec(PREDICT, predictions={"a": scalar(), "b": 2}),
            TypeError,
            "predictions[b] must be Tensor, given: 2",
        ),
        (
            lambda: EstimatorSpec(PREDICT, predictions={"a": {"b": scalar()}}),
            TypeError,
            "predictions[a] must be Tensor, given: {",
        ),
        (
            lambda: EstimatorSpec(PREDICT, predictions={1: scalar()}),
            ValueError,
            "Prediction output key must be a string; got 1.",
        ),
        # The shape of the loss.
        (lambda: EstimatorSpec(EVAL, loss=tf.zeros([2])), ValueError, "Loss must be scalar, given: "),
        (lambda: EstimatorSpec(EVAL, loss=tf.zeros([0])), ValueError, "Loss must be scalar, given: "),
        # Metrics; that names and members are looked at is headway's own rule.
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops=[1]),
            TypeError,
            "eval_metric_ops must be a dict, given: [1]",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": scalar()}),
            TypeError,
            "Values of eval_metric_ops must be (metric_value, update_op) tuples, given: ",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": list(metric_pair())}),
            TypeError,
            "for key: a",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": (*metric_pair(), 1)}),
            TypeError,
            "for key: a",
        ),
        (lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": (1.0, scalar())}), TypeError, "for key: a"),
        (lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": (None, scalar())}), TypeError, "for key: a"),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": keras.metrics.Mean}),
            TypeError,
            "for key: a",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={1: metric_pair()}),
            TypeError,
            "Keys of eval_metric_ops must be strings: the names of the metrics. Received: 1.",
        ),
        # Export outputs.
        (
            lambda: EstimatorSpec(PREDICT, scalar(), export_outputs=[1]),
            TypeError,
            "`export_outputs` must be dict, received: [1].",
        ),
        (
            lambda: EstimatorSpec(PREDICT, scalar(), export_outputs={"a": 1}),
            TypeError,
            "Values in `export_outputs` must be ExportOutput objects, received: {'a': 1}.",
        ),
        (
            lambda: EstimatorSpec(PREDICT, scalar(), export_outputs={k: PredictOutput(scalar()) for k in "ab"}),
            ValueError,
            "Multiple `export_outputs` were provided, but none of them are specified as the default.",
        ),
        # Hooks and scaffold.
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), training_hooks=[1]),
            TypeError,
            "All hooks must be SessionRunHook instances, given: 1",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), training_chief_hooks=["a"]),
            TypeError,
            "members of `training_chief_hooks`",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), evaluation_hooks=[GraphHook]),
            TypeError,
            "All hooks must be SessionRunHook instances, given: <class",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), prediction_hooks=[None]),
            TypeError,
            "All hooks must be SessionRunHook instances, given: None",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), prediction_hooks=GraphHook()),
            TypeError,
            "`prediction_hooks` must be a list or tuple of hooks, or None.",
        ),
        (
            lambda: EstimatorSpec(EVAL, loss=scalar(), scaffold="saver"),
            TypeError,
            "scaffold must be tf.train.Scaffold. Given: saver",
        ),
    ],
)
def test_rejects(call: Callable[..., Any], make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call(make)


def test_a_keras_blueprint_is_no_tensor() -> None:
    with pytest.raises(
        TypeError, match=r"loss must be Tensor, given: <KerasTensor .*call the Keras model with the features"
    ):
        EstimatorSpec(EVAL, loss=keras.Input((3,)))


@BOTH_WAYS
@pytest.mark.parametrize("shape", [[], [1], [1, 1]])
def test_a_loss_of_one_element_becomes_scalar(call: Callable[..., Any], shape: list[int]) -> None:
    spec = call(lambda: EstimatorSpec(EVAL, loss=tf.ones(shape)))
    assert spec.loss.shape == ()


def test_a_loss_of_unknown_shape_is_taken() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None), tf.TensorSpec([None])])
    def losses(unknown: tf.Tensor, vector: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return EstimatorSpec(EVAL, loss=unknown).loss, EstimatorSpec(EVAL, loss=vector).loss

    first, second = losses(tf.constant(2.0), tf.constant([3.0]))
    assert (first.numpy(), second.numpy()) == (2.0, 3.0)


@pytest.mark.parametrize("make", [tf.Variable, keras.Variable])
def test_variables_stand_for_their_values(make: Callable[..., Any]) -> None:
    variable = make(2.0)
    spec = EstimatorSpec(TRAIN, loss=variable, predictions={"v": variable}, train_op=variable)
    variable.assign(3.0)
    assert isinstance(spec.loss, tf.Tensor)
    assert spec.loss.numpy() == spec.predictions["v"].numpy() == 2.0
    assert spec.train_op is variable


def test_train_op_may_be_what_optimizers_return() -> None:
    weight = keras.Variable([1.0])
    old_weight = tf.Variable([1.0])
    optimizer = keras.optimizers.SGD()
    optimizer.build([weight])
    old_optimizer = tf.compat.v1.train.GradientDescentOptimizer(0.1)

    def build() -> list[Any]:
        steps = [
            optimizer.apply_gradients([(tf.constant([1.0]), weight)]),
            old_optimizer.apply_gradients([(tf.constant([1.0]), old_weight)]),
            tf.group(tf.constant(1)),
        ]
        return [(step, EstimatorSpec(TRAIN, loss=scalar(), train_op=step).train_op) for step in steps]

    steps = in_graph(build)
    assert len(steps) == 3
    assert all(kept is step for step, kept in steps)


def test_a_step_run_eagerly_may_have_no_train_op() -> None:
    # tf.group and most training operations return None there; outside a step it is missing all the same.
    counter = tf.Variable(0, dtype=tf.int64)
    context = _context.StepContext(mode=TRAIN, global_step=counter, owns=lambda variable: False)
    with _context.entered(context):
        assert EstimatorSpec(TRAIN, loss=scalar(), train_op=tf.group(counter.assign_add(1))).train_op is None
        with pytest.raises(ValueError, match=r"Missing train_op\."):
            in_graph(lambda: EstimatorSpec(TRAIN, loss=scalar()))


# Tensors that were made elsewhere.


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("loss", lambda tensor, op: EstimatorSpec(EVAL, loss=tensor)),
        ("train_op", lambda tensor, op: EstimatorSpec(TRAIN, loss=scalar(), train_op=tensor)),
        ("train_op", lambda tensor, op: EstimatorSpec(TRAIN, loss=scalar(), train_op=op)),
        ("predictions", lambda tensor, op: EstimatorSpec(PREDICT, predictions=tensor)),
        ("predictions[a]", lambda tensor, op: EstimatorSpec(PREDICT, predictions={"a": tensor})),
        (
            "eval_metric_ops[a]",
            lambda tensor, op: EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"a": (scalar(), tensor)}),
        ),
    ],
)
def test_tensors_of_another_graph_are_rejected(what: str, make: Callable[[Any, Any], Any]) -> None:
    tensor, op = in_graph(lambda: (scalar() + 1.0, tf.no_op()))
    message = re.escape(what) + r" with .* must be from the default graph\. Possible causes of this error include:"
    with pytest.raises(ValueError, match=message):
        in_graph(lambda: make(tensor, op))
    with pytest.raises(ValueError, match=message):
        make(tensor, op)
    with tf.Graph().as_default(), pytest.raises(ValueError, match=message):
        make(tensor, op)


def test_tensors_of_a_graph_around_are_taken() -> None:
    eager = tf.constant(2.0)
    specs = []

    @tf.function
    def outer(features: tf.Tensor) -> tf.Tensor:
        @tf.function
        def inner() -> tf.Tensor:
            specs.append(EstimatorSpec(EVAL, loss=eager, predictions={"passed_on": features}))
            return specs[-1].loss + specs[-1].predictions["passed_on"]

        return inner()

    assert outer(tf.constant(1.0)).numpy() == 3.0
    assert list(specs[0].predictions) == ["passed_on"]


def test_a_session_graph_is_a_graph_too() -> None:
    with tf.Graph().as_default():
        loss = scalar()
        spec = EstimatorSpec(TRAIN, loss=loss, train_op=tf.group(loss), eval_metric_ops={"m": metric_pair()})
        assert spec.loss is loss


def test_replicas_see_their_own_tensors(mirrored: tf.distribute.MirroredStrategy) -> None:
    def step(features: tf.Tensor) -> tf.Tensor:
        return EstimatorSpec(EVAL, loss=tf.reduce_sum(features), predictions={"f": features}).loss

    losses = tf.function(lambda: mirrored.run(step, args=(tf.ones([3]),)))()
    assert [loss.numpy() for loss in mirrored.experimental_local_results(losses)] == [3.0, 3.0]


# Export outputs of a spec.


def test_export_outputs_default_to_the_predictions() -> None:
    value = scalar()
    single = EstimatorSpec(PREDICT, predictions=value).export_outputs
    assert single is not None
    assert list(single) == [DEFAULT_KEY]
    assert single[DEFAULT_KEY].signature_outputs == {"output": value}
    named = EstimatorSpec(PREDICT, predictions={"a": value}).export_outputs
    assert named is not None
    assert named[DEFAULT_KEY].signature_outputs == {"a": value}


def test_a_single_export_output_is_the_default_too() -> None:
    output = PredictOutput(scalar())
    given = {"scores": output}
    spec = EstimatorSpec(PREDICT, predictions=scalar(), export_outputs=given)
    assert spec.export_outputs == {"scores": output, DEFAULT_KEY: output}
    assert given == {"scores": output}  # the dict of the caller stays as it is


def test_several_export_outputs_with_a_default() -> None:
    given = {"a": PredictOutput(scalar()), DEFAULT_KEY: PredictOutput(scalar())}
    assert EstimatorSpec(PREDICT, predictions=scalar(), export_outputs=given).export_outputs == given


@pytest.mark.parametrize("mode", [TRAIN, EVAL])
def test_export_outputs_are_not_looked_at_elsewhere(mode: str) -> None:
    spec = EstimatorSpec(mode, loss=scalar(), train_op=scalar(), export_outputs="anything")
    assert spec.export_outputs == "anything"


# The named tuple.


def test_replace() -> None:
    spec = EstimatorSpec(EVAL, loss=scalar(), eval_metric_ops={"m": metric_pair()})
    replaced = spec._replace(loss=tf.constant([4.0]), mode=EVAL)
    assert type(replaced) is EstimatorSpec
    assert replaced.loss.numpy() == 4.0
    assert replaced.loss.shape == ()
    assert replaced.eval_metric_ops == spec.eval_metric_ops
    assert spec.loss.numpy() == 1.0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mode": TRAIN}, ValueError, "mode of EstimatorSpec cannot be changed."),
        ({"loss": None}, ValueError, "Missing loss."),
        ({"training_hooks": [1]}, TypeError, "All hooks must be SessionRunHook instances"),
        # tf.estimator dropped unknown names silently.
        ({"losses": 1, "colour": 2}, ValueError, "Got unexpected field names: ['colour', 'losses']"),
    ],
)
def test_replace_rejects(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    spec = EstimatorSpec(EVAL, loss=scalar())
    with pytest.raises(error, match=re.escape(message)):
        spec._replace(**changes)


def test_it_is_a_tuple() -> None:
    hook = GraphHook()
    spec = EstimatorSpec(EVAL, loss=scalar(), evaluation_hooks=[hook])
    mode, *_, prediction_hooks = spec
    assert (mode, prediction_hooks, len(spec)) == (EVAL, (), 11)
    assert spec[9] == (hook,)
    assert list(spec._asdict()) == list(EstimatorSpec._fields)
    assert type(copy.copy(spec)) is EstimatorSpec
    with pytest.raises(AttributeError, match="can't set attribute"):
        spec.loss = scalar()  # type: ignore[misc]


def test_a_spec_without_symbolic_parts_can_be_pickled() -> None:
    spec = pickle.loads(pickle.dumps(EstimatorSpec(EVAL, loss=scalar())))
    assert type(spec) is EstimatorSpec
    assert spec.loss.numpy() == 1.0


# Hooks.


class WithoutEnd:
    def begin(self) -> None: ...

    def before_run(self, run_context: Any) -> None: ...

    def after_run(self, run_context: Any, run_values: Any) -> None: ...


class WithEnd(WithoutEnd):
    def end(self, session: Any) -> None: ...


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (tf.compat.v1.train.SessionRunHook(), True),
        (tf.compat.v1.train.NanTensorHook("loss"), True),
        (OwnHook(), True),
        (WithEnd(), True),
        (WithoutEnd(), False),
        (OwnHook, False),
        (keras.callbacks.Callback(), False),
        (lambda: None, False),
        (None, False),
    ],
)
def test_is_hook(value: Any, expected: bool) -> None:
    assert is_hook(value) is expected
