"""What is exported from the directories beside this file, and the rows that the exports serve.

Run it with a Python that has TensorFlow 2.15 and tf.estimator 2.15 to write exports.json: `python exports.py`. With
folders that headway has exported, `python exports.py FOLDER` serves them there and compares.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
import pairs
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
NAMES = (
    "dnn_classifier.Nadam",
    "linear_regressor.Adadelta",
    "combined_classifier.Adamax",
    "rnn_lstm_stacked.Adam",
    "v1_dnn_parts.Adam",
)
ROWS = 5


def features(model):
    """Returns the first rows of each feature; those of sequences as lists of their steps."""
    found = {}
    for key, value in pairs.data(model)[0].items():
        if isinstance(value, tuple):
            places, values, _ = value
            found[key] = [values[places[:, 0] == row] for row in range(ROWS)]
        else:
            found[key] = [np.ravel(row) for row in value[:ROWS]]
    return found


def parse_spec(model):
    spec = {}
    for key, value in pairs.data(model)[0].items():
        values = value[1] if isinstance(value, tuple) else value
        dtype = tf.string if values.dtype.kind == "O" else tf.as_dtype(values.dtype)
        spec[key] = tf.io.VarLenFeature(dtype) if values is not value else tf.io.FixedLenFeature(value.shape[1:], dtype)
    return spec


def examples(model):
    """Returns the first rows as serialised examples."""
    rows = features(model)
    return [_example({key: values[row] for key, values in rows.items()}) for row in range(ROWS)]


def _example(row):
    example = tf.train.Example()
    for key, values in row.items():
        kept = example.features.feature[key]
        if values.dtype.kind in "OU":
            kept.bytes_list.value.extend([word.encode() for word in values])
        else:
            (kept.float_list if values.dtype.kind == "f" else kept.int64_list).value.extend(values.tolist())
    return example.SerializeToString()


def export(estimator, model, folder, api):
    """Exports what serves examples, and returns where."""
    receiver_fn = api.build_parsing_serving_input_receiver_fn(parse_spec(model))
    path = estimator.export_saved_model(str(folder), receiver_fn)
    return path.decode() if isinstance(path, bytes) else path


def served(path, model):
    """Returns by signature what it takes and what it gives for the first rows."""
    loaded, found = tf.saved_model.load(path), {}
    for name, signature in loaded.signatures.items():
        inputs = signature.structured_input_signature[1]
        outputs = signature(**{key: tf.constant(examples(model)) for key in inputs})
        found[name] = {
            "inputs": {key: f"{spec.dtype.name} {spec.shape}" for key, spec in sorted(inputs.items())},
            "outputs": {key: _as_json(value.numpy()) for key, value in sorted(outputs.items())},
        }
    return found


def _as_json(value):
    return np.vectorize(bytes.decode)(value).tolist() if value.dtype.kind == "O" else value.tolist()


def differing(found, expected):
    """Returns where two results of `served` differ by more than 1e-5, relative above 1 and absolute below."""
    far = [] if found.keys() == expected.keys() else [f"{sorted(found)} instead of {sorted(expected)}"]
    for name in found.keys() & expected.keys():
        mine, theirs = found[name]["outputs"], expected[name]["outputs"]
        if found[name]["inputs"] != expected[name]["inputs"] or mine.keys() != theirs.keys():
            far.append(
                f"{name}: {found[name]['inputs']}, {sorted(mine)} not {expected[name]['inputs']}, {sorted(theirs)}"
            )
            continue
        far += [f"{name}/{key}" for key in mine if not _alike(np.asarray(mine[key]), np.asarray(theirs[key]))]
    return far


def _alike(mine, theirs):
    if mine.dtype.kind == "U" or mine.shape != theirs.shape:
        return np.array_equal(mine, theirs)
    return bool(np.allclose(mine, theirs, rtol=1e-5, atol=1e-5))


def main(folder=None):
    if folder is not None:
        golden = json.loads((HERE / "exports.json").read_text())
        for name in NAMES:
            (path,) = pathlib.Path(folder, name).iterdir()
            print(name, differing(served(str(path), name.partition(".")[0]), golden[name]) or "equal", flush=True)
        return
    import make_model_dirs

    found = {}
    for name in NAMES:
        model, optimizer = name.split(".")
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copytree(HERE / name, f"{scratch}/model")
            estimator = make_model_dirs.build(model, optimizer, f"{scratch}/model")
            found[name] = served(export(estimator, model, f"{scratch}/export", tf.estimator.export), model)
    (HERE / "exports.json").write_text(json.dumps(found, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main(*sys.argv[1:])
