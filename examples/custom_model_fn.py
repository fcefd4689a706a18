"""The quickstart's question, answered by a model_fn of one's own: Keras 3 layers below, a headway head on top.

Usage: python examples/custom_model_fn.py [--steps 500]
"""

from __future__ import annotations

import argparse
from typing import Any

import _titanic
import keras

import headway as hw
from headway import feature_columns as fc
from headway import heads, input_pipelines

CATEGORIES = {"sex": ["female", "male"], "embarked": ["C", "Q", "S"]}
COLUMNS = [
    fc.numeric_column("pclass"),
    fc.numeric_column("sibsp"),
    fc.numeric_column("parch"),
    *(fc.indicator_column(fc.categorical_column_with_vocabulary_list(*item)) for item in CATEGORIES.items()),
    fc.embedding_column(fc.categorical_column_with_hash_bucket("title", 100), dimension=4),
]


def model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> hw.EstimatorSpec:
    """A small multilayer perceptron; headway calls it once for each mode, and the weights are shared by name."""
    inputs = fc.DenseFeatures(COLUMNS)
    net = keras.Sequential()
    for units in params["hidden_units"]:
        net.add(keras.layers.Dense(units, activation="relu"))
        net.add(keras.layers.BatchNormalization(momentum=0.9))
        net.add(keras.layers.Dropout(params["dropout"]))
    head = heads.BinaryClassHead()
    net.add(keras.layers.Dense(head.logits_dimension))
    logits = net(inputs(features), training=mode == hw.ModeKeys.TRAIN)
    return head.create_estimator_spec(
        features,
        mode,
        logits,
        labels,
        optimizer=keras.optimizers.Adam(params["learning_rate"]),
        trainable_variables=inputs.trainable_variables + net.trainable_variables,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="training steps (default: 500)")
    steps = parser.parse_args().steps

    names = ["pclass", "sibsp", "parch", "sex", "embarked", "title", "survived"]
    train, test = _titanic.split(_titanic.load()[names])
    params = {"hidden_units": [32, 16], "dropout": 0.2, "learning_rate": 0.003}
    estimator = hw.Estimator(model_fn, params=params)
    estimator.train(
        input_pipelines.from_dataframe(train, label="survived", batch_size=64, shuffle=True, num_epochs=None),
        steps=steps,
    )
    metrics = estimator.evaluate(input_pipelines.from_dataframe(test, label="survived", batch_size=256))
    print(f"accuracy {metrics['accuracy']:.3f}, AUC {metrics['auc']:.3f} after {metrics['global_step']} steps")


if __name__ == "__main__":
    main()
