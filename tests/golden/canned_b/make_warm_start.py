"""Writes warm_start.json: which variables tf.estimator 2.15 warm-starts, and with which values.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15: `python make_warm_start.py`. A variable counts as
warm-started where its value is not the one that the same seed gives without a warm start.
"""

import json
import pathlib
import tempfile

import numpy as np
import tensorflow as tf
import warm_cases

HERE = pathlib.Path(__file__).parent


def variables(estimator, old):
    def input_fn():
        return tf.data.Dataset.from_tensor_slices(warm_cases.data(old)).batch(24).repeat()

    estimator.train(input_fn, steps=3 if old else 1)
    path = estimator.latest_checkpoint()
    found = {name: tf.train.load_variable(path, name) for name, _ in tf.train.list_variables(path)}
    return {name: value for name, value in found.items() if np.ndim(value)}


def build(old, warm_start_from=None):
    config = tf.estimator.RunConfig(tf_random_seed=3, model_dir=tempfile.mkdtemp())
    sgd = tf.keras.optimizers.legacy.SGD
    settings = {"config": config, "warm_start_from": warm_start_from}
    return warm_cases.build(tf.estimator, tf.feature_column, sgd, old, **settings)


def vocabularies():
    folder = pathlib.Path(tempfile.mkdtemp())
    words = {"words": (warm_cases.NEW_WORDS, warm_cases.OLD_WORDS)}
    words["classes"] = (warm_cases.NEW_CLASSES, warm_cases.OLD_CLASSES)
    files = {}
    for kind, pair in words.items():
        files[kind] = [folder / f"{kind}_{i}" for i in range(2)]
        for path, lines in zip(files[kind], pair, strict=True):
            path.write_text("\n".join(lines) + "\n")
    return {kind: [str(path) for path in pair] for kind, pair in files.items()}


def main():
    old = build(True)
    before, cold, files = variables(old, True), variables(build(False), False), vocabularies()
    results = {"before": {name: value.tolist() for name, value in before.items()}, "after": {}}
    for name, arguments in warm_cases.CASES.items():
        arguments = dict(arguments)
        infos = arguments.get("var_name_to_vocab_info", {})
        if infos:
            arguments["var_name_to_vocab_info"] = {
                variable: tf.estimator.VocabInfo(new_vocab=files[kind][0], old_vocab=files[kind][1], **more)
                for variable, (kind, more) in infos.items()
            }
        settings = tf.estimator.WarmStartSettings(old.model_dir, **arguments)
        found = variables(build(False, settings), False)
        warm = {key: value.tolist() for key, value in found.items() if not np.array_equal(value, cold[key])}
        results["after"][name] = warm
        print(name, list(warm), flush=True)
    (HERE / "warm_start.json").write_text(json.dumps(results, indent=0).replace("\n", "") + "\n")


if __name__ == "__main__":
    main()
