"""What the programs of the idioms share: a linear model, and the list of cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from idiom_program import Case

v1 = tf.compat.v1
CASES: dict[str, Case] = {}


def linear(features: Any, scope: str = "linear", **settings: Any) -> Any:
    """Returns y = x w + b, with variables of fixed initial values."""
    with v1.variable_scope(scope, **settings):
        w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer([[0.5], [-0.25]]))
        b = v1.get_variable("b", [1], initializer=v1.zeros_initializer())
    return (features["x"] @ w + b)[:, 0]


def descend(loss: Any, rate: Any = 0.1, **kwargs: Any) -> Any:
    """Returns the operation of a step of gradient descent that counts the global step."""
    return v1.train.GradientDescentOptimizer(rate).minimize(loss, v1.train.get_global_step(), **kwargs)


def squared(y: Any, labels: Any) -> Any:
    """Returns the mean squared error."""
    return tf.reduce_mean(tf.square(y - labels))


def case(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a model_fn of (api, features, labels, mode, params), or one that returns (loss, train_op)."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        def make(api: Any) -> Callable[..., Any]:
            def model_fn(features: Any, labels: Any, mode: str, params: Any) -> Any:
                return body(api, features, labels, mode, params)

            return model_fn

        CASES[name] = Case(make, **settings)
        return body

    return register
