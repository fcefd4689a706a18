"""Writes model_dir/ and model_dir.json: a checkpoint of tf.estimator 2.15, with several heads, and what follows.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_model_dir.py`.
"""

import json
import pathlib
import shutil
import tempfile

import program
import tensorflow as tf


def main():
    folder = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory() as model_dir:
        arguments = program.arguments(tf.estimator, tf.feature_column.numeric_column, tf.keras.optimizers.legacy)
        config = tf.estimator.RunConfig(tf_random_seed=1)
        model = tf.estimator.DNNLinearCombinedEstimator(**arguments, model_dir=model_dir, config=config)
        model.train(program.source(tf), steps=program.FIRST_STEPS)
        shutil.rmtree(folder / "model_dir", ignore_errors=True)
        (folder / "model_dir").mkdir()
        name = f"model.ckpt-{program.FIRST_STEPS}"
        for path in pathlib.Path(model_dir).glob(f"{name}.[di]*"):
            shutil.copy(path, folder / "model_dir")
        (folder / "model_dir" / "checkpoint").write_text(f'model_checkpoint_path: "{name}"\n', encoding="utf-8")
        found = {"evaluation": program.plain(model.evaluate(program.source(tf, 1)))}
        row = next(iter(model.predict(program.source(tf, 1))))
        numbers = {key: value for key, value in row.items() if value.dtype.kind in "fi"}
        found["predictions"] = program.plain(numbers)
        model.train(program.source(tf), steps=program.MORE_STEPS)
        found["evaluation after training"] = program.plain(model.evaluate(program.source(tf, 1)))
        found["variables"] = program.plain({key: model.get_variable_value(key) for key in model.get_variable_names()})
    (folder / "model_dir.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
