"""Trains on the Titanic's passenger list, exports the best model, and predicts with it in plain TensorFlow.

Usage: python examples/export_and_serve.py [--steps 600] [--model_dir runs/export]
"""

from __future__ import annotations

import argparse
import os
import tempfile

import _titanic
import numpy as np
import pandas as pd
import tensorflow as tf

import headway as hw
from headway import feature_columns as fc
from headway import input_pipelines

FEATURES = ["pclass", "sex", "fare", "title"]


def make_model(train: pd.DataFrame, model_dir: str, save_every: int) -> hw.DNNClassifier:
    """Returns a small deep model over numbers and words."""
    mean, scale = float(train["fare"].mean()), float(train["fare"].std())
    fare = fc.numeric_column("fare", normalizer_fn=lambda x: tf.where(tf.math.is_nan(x), 0.0, (x - mean) / scale))
    sex = fc.categorical_column_with_vocabulary_list("sex", ["female", "male"])
    title = fc.categorical_column_with_vocabulary_list("title", sorted(set(train["title"]) - {""}), num_oov_buckets=1)
    pclass = fc.categorical_column_with_identity("pclass", num_buckets=4)
    return hw.DNNClassifier(
        hidden_units=[32],
        feature_columns=[fare, fc.embedding_column(title, 4), *map(fc.indicator_column, (sex, pclass))],
        optimizer="Adam",
        config=hw.RunConfig(model_dir=model_dir, tf_random_seed=1, save_checkpoints_steps=save_every),
    )


def serve(path: str, rows: pd.DataFrame) -> np.ndarray:
    """Returns the chance of survival of each passenger; a program that does this needs TensorFlow alone."""
    predict = tf.saved_model.load(path).signatures["serving_default"]
    found = predict(**{name: tf.constant(rows[name].to_numpy()) for name in FEATURES})
    return np.asarray(found["logistic"])[:, 0]


def main() -> None:
    arguments = _arguments()
    train, test = _titanic.split(_titanic.load())
    model_dir = arguments.model_dir or tempfile.mkdtemp()
    model = make_model(train, model_dir, save_every=max(arguments.steps // 4, 1))
    train_rows = input_pipelines.from_dataframe(
        train[[*FEATURES, "survived"]], "survived", batch_size=64, shuffle=True, num_epochs=None
    )
    test_rows = input_pipelines.from_dataframe(test[[*FEATURES, "survived"]], "survived", batch_size=512)
    metrics, _ = hw.train_and_evaluate(
        model,
        hw.TrainSpec(train_rows, max_steps=arguments.steps),
        hw.EvalSpec(test_rows, steps=None, throttle_secs=0, exporters=hw.BestExporter(exports_to_keep=1)),
    )
    if metrics is not None:
        print(f"accuracy after {metrics['global_step']} steps: {metrics['accuracy']:.3f}")
    exports = os.path.join(model_dir, "export", "best_exporter")
    [version] = [name for name in os.listdir(exports) if name.isdigit()]
    chances = serve(os.path.join(exports, version), test)
    for (_, row), chance in zip(test.head(5).iterrows(), chances, strict=False):
        print(f"{row['name'][:40]:40s} survived: {row['survived']}, predicted: {chance:.2f}")
    print(
        f"The exported model is right about {np.mean((chances > 0.5) == test['survived']):.1%} of the test passengers."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600, help="number of training steps")
    parser.add_argument("--model_dir", default=None, help="where the model goes; a temporary directory by default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
