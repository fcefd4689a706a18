"""What `headway._tensorflow` promises beyond its users' tests."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf

from headway import _tensorflow


@pytest.mark.parametrize("in_function", [True, False])
def test_outside_graphs_no_scope_is_open(in_function: bool) -> None:
    made: list[tf.Variable] = []
    asked: list[str] = []
    seen: list[Any] = []

    def creator(next_creator: Any, **kwargs: Any) -> tf.Variable:
        asked.append(kwargs["name"])
        return next_creator(**kwargs)

    def make() -> tf.Variable:
        seen.extend([tf.executing_eagerly(), tf.get_current_name_scope(), tf.distribute.has_strategy()])
        seen.append(keras.Variable(1.0, name="k").path)
        return tf.Variable(2.0, name="w")

    def body() -> tf.Tensor:
        with tf.distribute.OneDeviceStrategy("CPU:1").scope(), tf.name_scope("outer"), tf.device("CPU:1"):
            with tf.variable_creator_scope(creator), keras.name_scope("layer"), tf.GradientTape() as tape:
                made.append(_tensorflow.outside_graphs(make))
                assert tf.get_current_name_scope() == "outer/layer"
                if not in_function:
                    tf.Variable(3.0, name="inside")
            assert tape.watched_variables() == ()
        return tf.constant(0)

    (tf.function(body, autograph=False) if in_function else body)()
    # In eager mode the creator is asked for the other variable, so it was in force all the while.
    assert asked == ([] if in_function else ["inside"])
    assert seen == [True, "", False, "k"]
    assert made[0].name == "w:0"
    assert made[0].device.endswith("CPU:0")


def test_outside_graphs_lets_errors_through_and_closes_its_scopes() -> None:
    def fail() -> None:
        raise KeyError("no")

    @tf.function(autograph=False)
    def body() -> tf.Tensor:
        with pytest.raises(KeyError, match="no"):
            _tensorflow.outside_graphs(fail)
        assert not tf.executing_eagerly()
        return tf.constant(1)

    assert body().numpy() == 1
