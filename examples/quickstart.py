"""Wide & deep on the Titanic's passenger list: trains, evaluates and predicts, without a download.

Usage: python examples/quickstart.py [--steps 1000] [--model_dir runs/quickstart-...]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import _titanic
import keras
import pandas as pd
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc
from headway import input_pipelines

FEATURES = ["pclass", "sex", "age", "sibsp", "parch", "fare", "embarked", "title", "deck"]


def columns(train: pd.DataFrame) -> tuple[list[fc.FeatureColumn], list[fc.FeatureColumn]]:
    """Returns the wide and the deep columns; the scale of the numbers comes from the training rows."""

    def number(name: str) -> fc.FeatureColumn:
        mean, scale = float(train[name].mean()), float(train[name].std())
        # A missing number (NaN) becomes the mean.
        return fc.numeric_column(
            name, normalizer_fn=lambda x: tf.where(tf.math.is_nan(x), tf.zeros_like(x), (x - mean) / scale)
        )

    def words(name: str) -> fc.FeatureColumn:
        return fc.categorical_column_with_vocabulary_list(name, sorted(set(train[name]) - {""}), num_oov_buckets=1)

    sex, pclass = words("sex"), fc.categorical_column_with_identity("pclass", num_buckets=4)
    embarked, title, deck = words("embarked"), words("title"), words("deck")
    # Wide: single facts and pairs of facts, each with a weight of its own.
    wide: list[fc.FeatureColumn] = [
        sex,
        pclass,
        embarked,
        title,
        deck,
        fc.crossed_column(["sex", "pclass"], hash_bucket_size=100),
    ]
    # Deep: numbers and small vectors, for what all of them say together.
    deep: list[fc.FeatureColumn] = [number(name) for name in ("age", "fare", "sibsp", "parch")]
    deep += [fc.indicator_column(column) for column in (sex, pclass, embarked)]
    deep += [fc.embedding_column(column, dimension=4) for column in (title, deck)]
    return wide, deep


def main() -> None:
    arguments = _arguments()
    train, test = _titanic.split(_titanic.load())
    wide, deep = columns(train)
    estimator = hw.DNNLinearCombinedClassifier(
        linear_feature_columns=wide,
        linear_optimizer=keras.optimizers.Ftrl(0.02),
        dnn_feature_columns=deep,
        dnn_hidden_units=[64, 32],
        dnn_optimizer=keras.optimizers.Adam(0.001),
        dnn_dropout=0.3,
        model_dir=arguments.model_dir,
        config=hw.RunConfig(tf_random_seed=1, log_step_count_steps=100),
    )

    print(f"Training on {len(train)} passengers, {arguments.steps} steps of 64.")
    table = input_pipelines.from_dataframe(
        train[[*FEATURES, "survived"]], label="survived", batch_size=64, shuffle=True, num_epochs=None, seed=1
    )
    estimator.train(table, steps=arguments.steps)

    held_out = input_pipelines.from_dataframe(test[[*FEATURES, "survived"]], label="survived", batch_size=256)
    print(f"\nEvaluation on the {len(test)} passengers that it has not seen:")
    for name, value in sorted(estimator.evaluate(held_out).items()):
        print(f"  {name:<22} {value:>9.4g}")

    few = test.iloc[:: len(test) // 7]  # spread over the rows, whatever the model says of them
    print("\nPredictions:")
    print(f"  {'passenger':<44} {'sex':<7} {'class':>5} {'age':>5}  {'survives':>8}  truth")
    predictions = estimator.predict(input_pipelines.from_dataframe(few[FEATURES], batch_size=8))
    for passenger, prediction in zip(few.itertuples(), predictions, strict=True):
        age = "?" if pd.isna(passenger.age) else f"{passenger.age:.0f}"
        print(
            f"  {passenger.name[:44]:<44} {passenger.sex:<7} {passenger.pclass:>5} {age:>5}  "
            f"{prediction['probabilities'][1]:>8.0%}  {'survived' if passenger.survived else 'died'}"
        )

    tensorboard = os.path.relpath(Path(sys.executable).with_name("tensorboard"))
    print(f"\nThe curves of this run in TensorBoard:\n  {tensorboard} --logdir {arguments.model_dir}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="training steps (default: 1000)")
    parser.add_argument(
        "--model_dir", default=f"runs/quickstart-{time.strftime('%Y%m%d-%H%M%S')}", help="where the run goes"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
