"""Small programs that export, evaluate while they train and stop early, on tf.estimator 2.15 and on headway alike.

Each takes the API as a flat namespace (`Estimator`, `TrainSpec`, `ServingInputReceiver`, `fc` for feature columns, ...)
and an empty directory, and returns what can be seen of the run, as something that JSON can hold.
"""

from __future__ import annotations

import glob
import os
import re

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

X = np.array(
    [[1.0, 2.0], [-1.0, 0.5], [0.3, -0.7], [2.0, 1.0], [-0.2, 0.1], [1.5, -1.5], [0.7, 0.7], [-2.0, 1.0]], "float32"
)
Y = np.array([1.0, -1.0, 0.5, 2.0, 0.0, 1.0, 0.5, -1.5], "float32")


def make_model_fn(api, *, outputs="default", rate=0.1, tensor=False):
    """Returns the model_fn of a linear regression that starts from fixed weights."""

    def model_fn(features, labels, mode):
        x = features if tensor else features["x"]
        w = v1.get_variable("w", [2, 1], initializer=v1.constant_initializer([[0.5], [-0.25]]))
        b = v1.get_variable("b", [1], initializer=v1.zeros_initializer())
        y = (x @ w + b)[:, 0]
        predictions = {"y": y, "twice": 2.0 * y}
        if mode == "infer":
            served = {
                "default": None,
                "one": {"only": api.PredictOutput({"y": y})},
                "several": {
                    "serving_default": api.RegressionOutput(y),
                    "scores": api.ClassificationOutput(scores=tf.stack([y, -y], axis=1)),
                    "all": api.PredictOutput({"y": y, ("head", "twice"): 2.0 * y}),
                    "bare": api.PredictOutput(y),
                },
            }[outputs]
            return api.EstimatorSpec(mode, predictions=predictions, export_outputs=served)
        loss = tf.reduce_mean(tf.square(y - labels))
        if mode == "eval":
            ops = {"mae": v1.metrics.mean_absolute_error(labels, y)}
            return api.EstimatorSpec(mode, loss=loss, predictions=predictions, eval_metric_ops=ops)
        train_op = v1.train.GradientDescentOptimizer(rate).minimize(loss, v1.train.get_global_step())
        return api.EstimatorSpec(mode, loss=loss, predictions=predictions, train_op=train_op)

    return model_fn


def rows(batch=2, repeat=None, tensor=False):
    """Returns an input_fn."""
    return lambda: tf.data.Dataset.from_tensor_slices((X if tensor else {"x": X}, Y)).repeat(repeat).batch(batch)


def estimator(api, folder, *, outputs="default", rate=0.1, tensor=False, **config):
    """Returns an estimator of the standard model."""
    settings = {"save_checkpoints_steps": 1000, "tf_random_seed": 1, **config}
    model_fn = make_model_fn(api, outputs=outputs, rate=rate, tensor=tensor)
    return api.Estimator(model_fn, folder, config=api.RunConfig(**settings))


def raw_receiver(api):
    """Returns a receiver function of the kind that old programs have."""

    def serving_input_receiver_fn():
        x = v1.placeholder(tf.float32, [None, 2], name="pixels")
        return api.ServingInputReceiver({"x": x / 1.0}, {"x": x})

    return serving_input_receiver_fn


def example(**features):
    """Returns a serialised tf.Example."""
    made = {}
    for name, values in features.items():
        values = list(values)
        if values and isinstance(values[0], str):
            made[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))
        elif values and isinstance(values[0], int):
            made[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        else:
            made[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Example(features=tf.train.Features(feature=made)).SerializeToString()


def info(tensor_info):
    """Returns the type and shape of a TensorInfo."""
    shape = tensor_info.tensor_shape
    sizes = "unknown" if shape.unknown_rank else [int(dim.size) for dim in shape.dim]
    return [tf.as_dtype(tensor_info.dtype).name, sizes]


def signatures(path, tag="serve"):
    """Returns the signatures of a SavedModel."""
    with v1.Session(graph=tf.Graph()) as session:
        loaded = v1.saved_model.load(session, [tag], tf.compat.as_str(path))
    return {
        name: {
            "method": signature.method_name,
            "inputs": {key: info(value) for key, value in signature.inputs.items()},
            "input_names": {key: value.name for key, value in signature.inputs.items()},
            "outputs": {key: info(value)[0] for key, value in signature.outputs.items()},
        }
        for name, signature in loaded.signature_def.items()
        if not name.startswith("__")
    }


def served(path, feed, signature="serving_default", tag="serve"):
    """Returns what a signature gives."""
    with v1.Session(graph=tf.Graph()) as session:
        loaded = v1.saved_model.load(session, [tag], tf.compat.as_str(path))
        chosen = loaded.signature_def[signature]
        values = session.run(
            {key: value.name for key, value in chosen.outputs.items()},
            {chosen.inputs[key].name: value for key, value in feed.items()},
        )
    return {key: np.asarray(value).tolist() for key, value in values.items()}


def eval_steps(folder, name="eval"):
    """Returns the steps that were evaluated, in the order in which it happened."""
    found = []
    for path in sorted(glob.glob(os.path.join(folder, name, "events.out.tfevents.*"))):
        events = v1.train.summary_iterator(path)
        found += [[e.wall_time, e.step] for e in events if any(value.tag == "loss" for value in e.summary.value)]
    return [step for _, step in sorted(found)]


def default_outputs(api, folder):
    """Signatures, numbers and files of the plainest export."""
    model = estimator(api, folder)
    model.train(rows(), steps=5)
    path = model.export_saved_model(os.path.join(folder, "out"), raw_receiver(api))
    text = tf.compat.as_str(path)
    return {
        "type": type(path).__name__,
        "parent": os.path.basename(os.path.dirname(text)),
        "digits": bool(re.fullmatch(r"\d{10}", os.path.basename(text))),
        "files": sorted(os.listdir(text)),
        "variables": sorted(os.listdir(os.path.join(text, "variables"))),
        "beside": len(os.listdir(os.path.dirname(text))),
        "signatures": signatures(path),
        "served": served(path, {"x": X}),
        "empty": served(path, {"x": X[:0]}),
        "names": sorted(name for name, _ in tf.train.list_variables(os.path.join(text, "variables", "variables"))),
        "step": int(tf.train.load_variable(os.path.join(text, "variables", "variables"), "global_step")),
    }


def one_output(api, folder):
    """A single export output becomes the default too."""
    model = estimator(api, folder, outputs="one")
    model.train(rows(), steps=1)
    return signatures(model.export_saved_model(os.path.join(folder, "out"), raw_receiver(api)))


def several_outputs_parsed(api, folder):
    """Regression, classification and prediction over serialised examples."""
    model = estimator(api, folder, outputs="several")
    model.train(rows(), steps=2)
    spec = {"x": tf.io.FixedLenFeature([2], tf.float32)}
    path = model.export_saved_model(os.path.join(folder, "out"), api.build_parsing_serving_input_receiver_fn(spec))
    examples = [example(x=[float(v) for v in row]) for row in X[:3]]
    return {
        "signatures": signatures(path),
        "served": {
            name: served(path, {key: examples}, name)
            for name, key in {
                "serving_default": "inputs",
                "scores": "inputs",
                "all": "examples",
                "bare": "examples",
            }.items()
        },
    }


def several_outputs_raw(api, folder):
    """What needs serialised examples is left out where there are none."""
    model = estimator(api, folder, outputs="several")
    model.train(rows(), steps=1)
    features = {"x": tf.zeros([1, 2])}
    receiver_fn = api.build_raw_serving_input_receiver_fn(features, default_batch_size=4)
    return signatures(model.export_saved_model(os.path.join(folder, "out"), receiver_fn))


def tensor_features(api, folder):
    """Features that are one tensor."""
    model = estimator(api, folder, tensor=True)
    model.train(rows(tensor=True), steps=2)

    def receiver_fn():
        x = v1.placeholder(tf.float32, [None, 2])
        return api.TensorServingInputReceiver(x, x)

    path = model.export_saved_model(os.path.join(folder, "out"), receiver_fn)
    return {"inputs": signatures(path)["serving_default"]["inputs"], "served": served(path, {"input": X[:2]})}


def alternatives(api, folder):
    """Receivers that clients may use instead, one of which does not suffice."""
    model = estimator(api, folder)
    model.train(rows(), steps=2)

    def receiver_fn():
        examples = v1.placeholder(tf.string, [None], name="examples")
        scale = v1.placeholder(tf.float32, [], name="scale")
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([2], tf.float32)})["x"]
        scaled = parsed * scale
        return api.ServingInputReceiver(
            {"x": scaled},
            {"examples": examples, "scale": scale},
            {"parsed": {"x": parsed}, "scaled": scaled, "both": {"x": parsed, "scale": scale}},
        )

    path = model.export_saved_model(os.path.join(folder, "out"), receiver_fn)
    found = signatures(path)
    return {
        "signatures": {name: found[name]["inputs"] for name in found},
        "scaled": served(path, {"input": X[:2]}, "scaled:serving_default"),
        "both": served(path, {"x": X[:2], "scale": 2.0}, "both:serving_default"),
    }


def all_modes(api, folder):
    """Graphs for training, evaluation and serving; training goes on in the loaded one."""
    model = estimator(api, folder)
    model.train(rows(), steps=3)
    supervised = api.build_raw_supervised_input_receiver_fn({"x": tf.constant(X)}, tf.constant(Y))
    receivers = {"train": supervised, "eval": supervised, "infer": raw_receiver(api)}
    path = model.experimental_export_all_saved_models(os.path.join(folder, "out"), receivers)
    with v1.Session(graph=tf.Graph()) as session:
        loaded = v1.saved_model.load(session, ["train"], tf.compat.as_str(path))
        signature = loaded.signature_def["train"]
        train_op = v1.get_collection("saved_model_train_op")[0]
        feed = {signature.inputs["x"].name: X, signature.inputs["label"].name: Y}
        losses = []
        for _ in range(3):
            losses.append(float(session.run(signature.outputs["loss"].name, feed)))
            session.run(train_op, feed)
    evaluated = served(path, {"x": X, "label": Y}, "eval", "eval")
    return {
        "train": signatures(path, "train"),
        "eval": signatures(path, "eval"),
        "serve": signatures(path, "serve"),
        "losses": losses,
        "loss": evaluated["loss"],
        "update": evaluated["metrics/mae/update_op"],
        "predictions": evaluated["predictions/y"],
    }


def one_mode(api, folder):
    """experimental_mode exports a single graph."""
    model = estimator(api, folder)
    model.train(rows(), steps=1)
    receiver_fn = api.build_raw_supervised_input_receiver_fn({"x": tf.constant(X)}, tf.constant(Y))
    path = model.export_saved_model(os.path.join(folder, "out"), receiver_fn, experimental_mode="eval")
    return signatures(path, "eval")


def extra_files(api, folder):
    """assets_extra, text format, and a checkpoint of choice."""
    model = estimator(api, folder, save_checkpoints_steps=2)
    model.train(rows(), steps=4)
    note = os.path.join(folder, "note.txt")
    with open(note, "w", encoding="utf-8") as file:
        file.write("hello")
    path = model.export_saved_model(
        os.path.join(folder, "out"),
        raw_receiver(api),
        assets_extra={"notes/first.txt": note},
        as_text=True,
        checkpoint_path=os.path.join(folder, "model.ckpt-2"),
    )
    text = tf.compat.as_str(path)
    with open(os.path.join(text, "assets.extra", "notes", "first.txt"), encoding="utf-8") as file:
        content = file.read()
    return {"files": sorted(os.listdir(text)), "content": content, "served": served(path, {"x": X[:2]})}


def vocabulary_asset(api, folder):
    """A table over a file in the receiver function: the file travels with the model."""
    model = estimator(api, folder)
    model.train(rows(), steps=1)
    words = os.path.join(folder, "words.txt")
    with open(words, "w", encoding="utf-8") as file:
        file.write("small\nlarge\n")

    def receiver_fn():
        word = v1.placeholder(tf.string, [None], name="word")
        initializer = tf.lookup.TextFileInitializer(
            words, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        number = tf.cast(tf.lookup.StaticHashTable(initializer, -1).lookup(word), tf.float32)
        return api.ServingInputReceiver({"x": tf.stack([number, -number], axis=1)}, {"word": word})

    path = model.export_saved_model(os.path.join(folder, "out"), receiver_fn)
    os.remove(words)
    return {
        "assets": os.listdir(os.path.join(tf.compat.as_str(path), "assets")),
        "served": served(path, {"word": ["large", "small", "other"]}),
    }


def canned(api, folder):
    """Signatures of ready-made models, over examples and over raw features."""
    found = {}
    words = ["a", "b"]
    columns = [api.fc.numeric_column("x"), api.fc.categorical_column_with_vocabulary_list("s", words)]
    deep = [columns[0], api.fc.indicator_column(columns[1])]
    models = {
        "binary": lambda where: api.LinearClassifier(columns, model_dir=where),
        "words": lambda where: api.LinearClassifier(columns, model_dir=where, label_vocabulary=["no", "yes"]),
        "three": lambda where: api.DNNClassifier([3], deep, model_dir=where, n_classes=3),
        "regression": lambda where: api.LinearRegressor(columns, model_dir=where, label_dimension=2),
    }
    for name, make in models.items():
        labels = {"words": ["no", "yes", "yes"], "regression": [[0.0, 1.0]] * 3}.get(name, [0, 1, 1])
        data = ({"x": [1.0, 2.0, 3.0], "s": ["a", "b", "z"]}, labels)
        model = make(os.path.join(folder, name))
        model.train(lambda data=data: tf.data.Dataset.from_tensor_slices(data).repeat().batch(3), steps=1)
        parsing = api.build_parsing_serving_input_receiver_fn(api.fc.make_parse_example_spec(columns))
        raw = api.build_raw_serving_input_receiver_fn({"x": tf.zeros([1]), "s": tf.constant(["a"])})
        found[name] = {
            "parsing": signatures(model.export_saved_model(os.path.join(folder, name, "parsing"), parsing)),
            "raw": signatures(model.export_saved_model(os.path.join(folder, name, "raw"), raw)),
        }
    return found


PROGRAMS = {
    program.__name__: program
    for program in (
        default_outputs,
        one_output,
        several_outputs_parsed,
        several_outputs_raw,
        tensor_features,
        alternatives,
        all_modes,
        one_mode,
        extra_files,
        vocabulary_asset,
        canned,
    )
}
