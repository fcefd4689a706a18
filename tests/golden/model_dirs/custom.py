"""Model functions as programs of tf.estimator had them, whose model_dirs must go on here as they do there.

Each is built on the TensorFlow of the program: on headway, the old names have been installed before. Read by
make_custom.py (tf.estimator), try_custom.py (headway) and the tests.
"""

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
FIRST_STEPS, MORE_STEPS, BATCH = 4, 10, 8
WORDS = ["u", "v", "w"]


def data():
    """Returns the features and labels of 32 rows."""
    rng = np.random.RandomState(5)
    x = rng.normal(size=(32, 16)).round(2).astype(np.float32)
    ids = rng.randint(0, 7, (32, 2)).astype(np.int64)
    word = rng.choice([*WORDS, "other"], 32)
    y = (x[:, :4].sum(axis=1) + ids[:, 0] / 4).round(3).astype(np.float32)
    return {"x": x, "ids": ids, "word": word}, y


def input_fn(rows=32, labelled=True, repeat=False):
    """Returns an input_fn of the first rows."""
    features, labels = data()

    def make():
        dataset = tf.data.Dataset.from_tensor_slices((features, labels) if labelled else features)
        dataset = dataset.take(rows).batch(BATCH)
        return dataset.repeat() if repeat else dataset

    return make


def convolutions(features, training):
    """`compat.v1.layers` with moving averages."""
    x = tf.reshape(features["x"], [-1, 4, 4, 1])
    x = v1.layers.conv2d(x, 2, 3, padding="same", name="conv")
    x = v1.layers.batch_normalization(x, training=training, momentum=0.8)
    x = v1.layers.max_pooling2d(tf.nn.relu(x), 2, 2)
    with v1.variable_scope("top"):
        x = v1.layers.dense(v1.layers.flatten(x), 3, activation=tf.tanh)
        return v1.layers.dense(v1.layers.batch_normalization(x, training=training, momentum=0.8, fused=False), 1)


def partitioned(features, training):
    """Variables in slices, on the first and on the second axis."""
    del training
    with v1.variable_scope("net", partitioner=v1.fixed_size_partitioner(3)):
        table = v1.get_variable("table", [7, 2])
        w = v1.get_variable("w", [16, 1])
    wide = v1.get_variable("wide", [4, 5], partitioner=v1.fixed_size_partitioner(2, axis=1))
    found = tf.reshape(v1.nn.embedding_lookup(table, features["ids"], partition_strategy="div"), [-1, 4])
    x = tf.matmul(features["x"], tf.convert_to_tensor(w)) + tf.matmul(found, v1.get_variable("out", [4, 1]))
    return x + tf.reduce_sum(tf.matmul(found, tf.convert_to_tensor(wide)), axis=1, keepdims=True)


def plain(features, training):
    """Variables of `get_variable`: a matrix, and a table that is looked up."""
    del training
    with v1.variable_scope("wide"):
        x = tf.matmul(features["x"], v1.get_variable("w", [16, 1])) + v1.get_variable("b", [1])
    with v1.variable_scope("deep"):
        table = v1.get_variable("table", [7, 2])
        found = tf.reshape(tf.nn.embedding_lookup(table, features["ids"]), [-1, 4])
        return x + tf.matmul(tf.tanh(found), v1.get_variable("w", [4, 1]))


def cells(features, training):
    """Recurrent cells of TensorFlow 1."""
    del training
    x = tf.reshape(features["x"], [-1, 4, 4])
    cell = v1.nn.rnn_cell.MultiRNNCell([v1.nn.rnn_cell.BasicLSTMCell(3), v1.nn.rnn_cell.GRUCell(2)])
    outputs, _ = v1.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    return v1.layers.dense(outputs[:, -1], 1)


def columns(features, training):
    """Feature columns by the functions of TensorFlow 1."""
    del training
    fc = tf.feature_column
    word = fc.categorical_column_with_vocabulary_list("word", WORDS, num_oov_buckets=1)
    deep = [fc.numeric_column("x", 16), fc.embedding_column(word, 2)]
    x = v1.feature_column.input_layer(features, deep)
    return v1.layers.dense(x, 1, name="top") + v1.feature_column.linear_model(features, [word])


def keras_layers(features, training):
    """Layers of tf.keras."""
    layers = tf.keras.layers
    found = layers.Flatten()(layers.Embedding(7, 2)(features["ids"]))
    x = layers.Dense(6, activation="tanh")(tf.concat([features["x"], found], 1))
    x = layers.LayerNormalization()(x)
    del training
    return layers.Dense(1, name="top")(x)


def keras_norm(features, training):
    """Batch normalisation of tf.keras, whose updates a program had to collect."""
    norm = tf.keras.layers.BatchNormalization(momentum=0.8)
    x = norm(tf.keras.layers.Dense(3, activation="relu")(features["x"]), training=training)
    for update in getattr(norm, "updates", None) or []:
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
    return tf.keras.layers.Dense(1)(x)


def by_v1(make):
    """Trains by an optimizer of `compat.v1.train`."""

    def train(loss):
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            return make().minimize(loss, v1.train.get_global_step())

    return train


def averaged(loss):
    """Keeps moving averages of the weights, as most programs did."""
    step = v1.train.get_global_step()
    train_op = v1.train.RMSPropOptimizer(0.01, centered=True, momentum=0.5, epsilon=1e-3).minimize(loss, step)
    with tf.control_dependencies([train_op]):
        return tf.train.ExponentialMovingAverage(0.8, step).apply(v1.trainable_variables())


def by_scope(loss):
    """Trains each scope by an optimizer of its own."""
    wide = v1.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01)
    deep = v1.train.AdagradOptimizer(0.1)
    return tf.group(
        wide.minimize(loss, var_list=v1.trainable_variables("wide")),
        deep.minimize(loss, v1.train.get_global_step(), v1.trainable_variables("deep")),
    )


def twice_adam(loss):
    """Two optimizers of one class, as adversarial networks had."""
    wide = v1.train.AdamOptimizer(0.01, beta1=0.5).minimize(loss, var_list=v1.trainable_variables("wide"))
    with tf.control_dependencies([wide]):
        step = v1.train.get_global_step()
        return v1.train.AdamOptimizer(0.02).minimize(loss, step, v1.trainable_variables("deep"))


def clipped(loss):
    """A rate that decays, and gradients that are clipped."""
    step = v1.train.get_global_step()
    optimizer = v1.train.AdamOptimizer(v1.train.exponential_decay(0.05, step, 3, 0.7, staircase=True))
    gradients, variables = zip(*optimizer.compute_gradients(loss), strict=True)
    gradients, _ = tf.clip_by_global_norm(gradients, 0.5)
    return optimizer.apply_gradients(zip(gradients, variables, strict=True), step)


def by_keras(name, how="apply", **settings):
    """Trains by an optimizer of tf.keras.optimizers.legacy."""

    def train(loss):
        optimizer = getattr(tf.keras.optimizers.legacy, name)(**settings)
        optimizer.iterations = v1.train.get_or_create_global_step()
        variables = v1.trainable_variables()
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            if how == "apply":
                return optimizer.apply_gradients(zip(tf.gradients(loss, variables), variables, strict=True))
            return tf.group(*optimizer.get_updates(loss, variables))

    return train


def restoring_averages():
    """Lets evaluation and prediction have the moving averages for the weights."""
    names = tf.train.ExponentialMovingAverage(0.8).variables_to_restore(v1.trainable_variables())
    return v1.train.Scaffold(saver=v1.train.Saver(names))


_train = v1.train
# Name: (network, how it is trained[, how it is restored]).
MODELS = {
    "convolutions_momentum": (convolutions, by_v1(lambda: _train.MomentumOptimizer(0.05, 0.9))),
    "convolutions_keras": (convolutions, by_keras("RMSprop", learning_rate=0.01, epsilon=1e-3)),
    "partitioned_adam": (partitioned, by_v1(lambda: _train.AdamOptimizer(0.01))),
    "partitioned_adagrad": (partitioned, by_v1(lambda: _train.AdagradOptimizer(0.1))),
    "averaged": (plain, averaged),
    "averaged_restored": (plain, averaged, restoring_averages),
    "by_scope": (plain, by_scope),
    "twice_adam": (plain, twice_adam),
    "proximal": (plain, by_v1(lambda: _train.ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01))),
    "dual_averaging": (
        plain,
        by_v1(lambda: _train.AdagradDAOptimizer(0.1, _train.get_global_step(), l2_regularization_strength=0.01)),
    ),
    "keras_adam": (plain, by_keras("Adam", learning_rate=0.01)),
    "keras_sgd_updates": (plain, by_keras("SGD", "updates", learning_rate=0.05, momentum=0.9, decay=0.1)),
    "keras_nadam": (plain, by_keras("Nadam", learning_rate=0.01)),
    "cells_clipped": (cells, clipped),
    "columns_adadelta": (columns, by_v1(lambda: _train.AdadeltaOptimizer(0.5))),
    "columns_nesterov": (columns, by_v1(lambda: _train.MomentumOptimizer(0.02, 0.8, use_nesterov=True))),
    "keras_layers_adagrad": (keras_layers, by_v1(lambda: _train.AdagradOptimizer(0.1))),
    "keras_layers_adam": (keras_layers, by_keras("Adam", "updates", learning_rate=0.01, amsgrad=True)),
    "keras_norm_rmsprop": (keras_norm, by_v1(lambda: _train.RMSPropOptimizer(0.01))),
}


def model_fn_of(network, train, scaffold=lambda: None):
    """Returns a model_fn of a regression; `scaffold` makes that of evaluation and prediction."""

    def model_fn(features, labels, mode):
        y = tf.squeeze(network(features, mode == "train"), 1)
        predictions = {"y": y, "sign": tf.sign(y)}
        if mode == "infer":
            served = {
                "serving_default": tf.estimator.export.PredictOutput(predictions),
                "score": tf.estimator.export.RegressionOutput(y),
            }
            return tf.estimator.EstimatorSpec(mode, predictions, export_outputs=served, scaffold=scaffold())
        loss = v1.losses.mean_squared_error(labels, y)
        metrics = {
            "mae": v1.metrics.mean_absolute_error(labels, y),
            "positive": v1.metrics.mean(tf.cast(y > 0, tf.float32)),
        }
        if mode == "train":
            return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train(loss))
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics, scaffold=scaffold())

    return model_fn


def build(name, model_dir, **config):
    config = tf.estimator.RunConfig(str(model_dir), tf_random_seed=3, save_summary_steps=1000, **config)
    return tf.estimator.Estimator(model_fn_of(*MODELS[name]), config=config)


def receivers():
    """Returns functions that say what an export receives: tensors, and serialised examples."""
    features, _ = data()
    export = tf.estimator.export
    tensors = {key: tf.constant(value) for key, value in features.items()}
    spec = {key: tf.io.FixedLenFeature(value.shape[1:], tensors[key].dtype) for key, value in features.items()}
    return {
        "tensors": export.build_raw_serving_input_receiver_fn(tensors, default_batch_size=None),
        "examples": export.build_parsing_serving_input_receiver_fn(spec),
    }


def examples(features):
    """Returns rows as serialised examples."""
    return [_example({key: value[i].ravel() for key, value in features.items()}) for i in range(len(features["x"]))]


def _example(row):
    kinds = {"f": tf.train.FloatList, "i": tf.train.Int64List, "U": tf.train.BytesList}
    names = {"f": "float_list", "i": "int64_list", "U": "bytes_list"}
    example = tf.train.Example()
    for key, value in row.items():
        kind = value.dtype.kind
        values = [word.encode() for word in value] if kind == "U" else value
        getattr(example.features.feature[key], names[kind]).CopyFrom(kinds[kind](value=values))
    return example.SerializeToString()


def served(path):
    """Returns what each signature of a SavedModel takes and gives, with numbers for the first rows."""
    features = {key: value[:5] for key, value in data()[0].items()}
    found = {}
    loaded = tf.saved_model.load(path)
    for name, signature in loaded.signatures.items():
        inputs = signature.structured_input_signature[1]
        given = {key: features.get(key) for key in inputs}
        given = {key: tf.constant(examples(features) if value is None else value) for key, value in given.items()}
        found[name] = {
            "inputs": {key: f"{spec.dtype.name} {spec.shape}" for key, spec in inputs.items()},
            "outputs": {key: value.numpy().tolist() for key, value in signature(**given).items()},
        }
    return found


def variables(estimator):
    path = estimator.latest_checkpoint()
    return {name: tf.train.load_variable(path, name).tolist() for name, _ in tf.train.list_variables(path)}


def first(name, model_dir, **config):
    """Trains the first steps."""
    return build(name, model_dir, **config).train(input_fn(repeat=True), steps=FIRST_STEPS)


def results(name, model_dir, export_dir, **config):
    """Returns what an estimator makes of a model_dir: metrics, predictions, exports, values after more steps."""
    estimator = build(name, model_dir, **config)
    metrics = {key: float(value) for key, value in estimator.evaluate(input_fn(20)).items()}
    predictions = [
        {key: float(value) for key, value in row.items()} for row in estimator.predict(input_fn(6, labelled=False))
    ]
    exports = {}
    for kind, receiver_fn in receivers().items():
        path = estimator.export_saved_model(f"{export_dir}/{kind}", receiver_fn)
        exports[kind] = served(path.decode() if isinstance(path, bytes) else path)
    estimator.train(input_fn(repeat=True), steps=MORE_STEPS)
    return {"metrics": metrics, "predictions": predictions, "exports": exports, "after": variables(estimator)}


def differences(mine, theirs, where=""):
    """Returns how much numbers differ, relative above 1 and absolute below, by where; all else that differs is inf."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        found = {}
        for key in mine.keys() | theirs.keys():
            found |= differences(mine.get(key), theirs.get(key), f"{where}/{key}")
        return found
    if isinstance(theirs, list) and isinstance(mine, list) and theirs and not isinstance(theirs[0], (dict, str)):
        one, other = np.asarray(mine, float), np.asarray(theirs, float)
        if one.shape != other.shape:
            return {where: np.inf}
        return {where: float(np.max(np.abs(one - other) / np.maximum(1.0, np.abs(other)), initial=0.0))}
    if isinstance(theirs, list) and isinstance(mine, list) and len(mine) == len(theirs):
        found = {}
        for i, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            found |= differences(one, other, f"{where}[{i}]")
        return found
    if isinstance(theirs, (int, float)) and isinstance(mine, (int, float)):
        return {where: abs(mine - theirs) / max(1.0, abs(theirs))}
    return {where: 0.0 if mine == theirs else np.inf}
