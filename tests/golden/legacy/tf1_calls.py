"""Calls as programs of TensorFlow 1 make them, with the arguments that they had then, in the order that they had.

`python tf1_calls.py --compat > tf1_calls.json`, with a Python that has TensorFlow 2.15, writes what they show there.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import tensorflow as tf

if "--compat" in sys.argv:
    tf = tf.compat.v1

A = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]], "float32")
B = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], "float32")
IMAGE = np.arange(32, dtype="float32").reshape(1, 4, 4, 2) / 8.0
FILTER = np.ones([2, 2, 2, 1], "float32")
IDS = np.array([1, 0], "int64")
SPARSE = [[[0, 0], [1, 2]], [2.0, 3.0], [2, 3]]


def sparse():
    return tf.SparseTensor(*SPARSE)


def loop():
    return tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)])


def mapped():
    rows = tf.data.Dataset.from_tensor_slices(A).map(
        lambda row: tf.reduce_sum(row, 0, True) * tf.nn.moments(row, [0])[0]
    )
    return tf.data.make_one_shot_iterator(rows.batch(2)).get_next()


def is_constant(function):
    labels = tf.constant(B)
    (gradient,) = tf.gradients(function(labels=labels + 0.1, logits=A), [labels])
    return tf.constant(gradient is None)


def summed():
    tf.summary.scalar("a", tf.reduce_sum(A), None, "family")
    (summary,) = tf.get_collection(tf.GraphKeys.SUMMARIES)
    return tf.strings.length(summary)


def scoped():
    with tf.name_scope(None, "outer", [A]), tf.name_scope("inner", "default"):
        return tf.constant(tf.zeros([], name="zero").op.name)


CALLS = {
    "argmax dimension": lambda: tf.argmax(A, dimension=1),
    "argmax positional": lambda: tf.argmax(A, 1, "name"),
    "argmin": lambda: tf.argmin(A, 0, "name", None, tf.int32),
    "assert_equal": lambda: tf.group(tf.assert_equal(A, A, [A], 3, "message")),
    "batch_to_space": lambda: tf.batch_to_space(tf.reshape(IMAGE, [4, 2, 2, 2]), [[0, 0], [0, 0]], 2),
    "boolean_mask": lambda: tf.boolean_mask(A, [True, False], "mask"),
    "cond": lambda: tf.cond(tf.constant(True), fn1=lambda: [tf.constant(1.0)], fn2=lambda: [tf.constant(2.0)]),
    "confusion_matrix": lambda: tf.math.confusion_matrix([1, 2], [1, 1], 3, tf.int32, "name", [2, 3]),
    "constant": lambda: tf.constant(3.0, tf.float32, [2], "three", False),
    "constant_initializer": lambda: tf.constant_initializer(2.0, dtype=tf.float32)([2]),
    "conv2d": lambda: tf.nn.conv2d(IMAGE, filter=FILTER, strides=[1, 1, 1, 1], padding="VALID", use_cudnn_on_gpu=False),
    "conv2d_transpose": lambda: tf.nn.conv2d_transpose(
        value=IMAGE[..., :1], filter=FILTER, output_shape=[1, 8, 8, 2], strides=2
    ),
    "convert_to_tensor": lambda: tf.convert_to_tensor(A, tf.float32, "name", preferred_dtype=tf.float32),
    "count_nonzero": lambda: tf.count_nonzero(B, keep_dims=True),
    "crelu": lambda: tf.nn.crelu(A, "name"),
    "decode_csv": lambda: tf.decode_csv(["1,a"], [[0], [""]], ",", True, "name"),
    "depth_to_space": lambda: tf.depth_to_space(np.ones([1, 1, 1, 4]), 2, "name"),
    "depthwise_conv2d": lambda: tf.nn.depthwise_conv2d(IMAGE, FILTER, [1, 1, 1, 1], "SAME", [1, 1], "name"),
    "dropout keeps all": lambda: tf.nn.dropout(A, 1.0),
    "dropout keep_prob": lambda: tf.nn.dropout(A, keep_prob=1.0),
    "embedding_lookup": lambda: tf.nn.embedding_lookup([A[:1], A[1:]], IDS, "div", "name"),
    "embedding_lookup_sparse": lambda: tf.nn.embedding_lookup_sparse(
        A, tf.SparseTensor([[0, 0], [1, 0]], IDS, [2, 1]), None, "mod", "name", "sum"
    ),
    "expand_dims": lambda: tf.expand_dims(A, dim=1),
    "gather": lambda: tf.gather(A, IDS, None, "name", 1),
    "in_top_k": lambda: tf.nn.in_top_k(A, IDS, 1),
    "initializers": lambda: tf.initializers.constant(2.0, dtype=tf.float32)([2], dtype=tf.float32),
    "in the map of a dataset": mapped,
    "log_softmax": lambda: tf.nn.log_softmax(A, dim=0),
    "labels are no variables": lambda: is_constant(tf.nn.softmax_cross_entropy_with_logits),
    "losses": lambda: tf.losses.mean_squared_error(A, B, 0.5),
    "losses by name": lambda: tf.losses.mean_squared_error(labels=A, predictions=B),
    "max_pool": lambda: tf.nn.max_pool(value=IMAGE, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID"),
    "metrics": lambda: tf.metrics.mean_absolute_error(A, B)[1],
    "moments": lambda: tf.nn.moments(A, [0], None, "name", True),
    "name_scope": scoped,
    "norm": lambda: tf.norm(A, axis=1, keep_dims=True),
    "ones_like": lambda: tf.ones_like(A, tf.int32, "name"),
    "pad": lambda: tf.pad(A, [[1, 0], [0, 0]], "CONSTANT", "name", 7.0),
    "random_normal_initializer": lambda: tf.random_normal_initializer(2.0, 0.0, 1, tf.float32)([2]),
    "reduce_mean": lambda: tf.reduce_mean(A, reduction_indices=[1], keep_dims=True),
    "reduce_sum": lambda: tf.reduce_sum(A, 1, True, "name"),
    "resize": lambda: tf.image.resize(IMAGE, [2, 2], tf.image.ResizeMethod.BILINEAR, True),
    "resize_images": lambda: tf.image.resize_images(IMAGE, [3, 3], align_corners=True),
    "reverse_sequence": lambda: tf.reverse_sequence(A, [2, 3], seq_dim=1, batch_dim=0),
    "separable_conv2d": lambda: tf.nn.separable_conv2d(
        IMAGE, FILTER, np.ones([1, 1, 2, 1], "float32"), [1, 1, 1, 1], "SAME", None, "n"
    ),
    "shape": lambda: tf.shape(A, "name", tf.int64),
    "size": lambda: tf.size(A, "name", tf.int64),
    "softmax": lambda: tf.nn.softmax(A, dim=0),
    "softmax_cross_entropy_with_logits": lambda: tf.nn.softmax_cross_entropy_with_logits(labels=B, logits=A, dim=0),
    "space_to_batch": lambda: tf.space_to_batch(IMAGE, [[0, 0], [0, 0]], 2),
    "sparse_reduce_sum": lambda: tf.sparse.reduce_sum(sparse(), 1, True),
    "sparse.concat": lambda: tf.sparse.to_dense(tf.sparse.concat(1, [sparse(), sparse()], None, False)),
    "sparse_softmax_cross_entropy": lambda: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=IDS, logits=A),
    "squeeze": lambda: tf.squeeze([[1.0]], squeeze_dims=[0]),
    "string_split": lambda: tf.sparse.to_dense(tf.strings.split(["a b", "c"]), ""),
    "substr": lambda: tf.substr(["abc"], 1, 2, "name"),
    "summary": summed,
    "to_number": lambda: tf.strings.to_number(string_tensor=["1.5"]),
    "transpose": lambda: tf.transpose(A, [1, 0], "name"),
    "weighted_cross_entropy": lambda: tf.nn.weighted_cross_entropy_with_logits(targets=B, logits=A, pos_weight=2.0),
    "where": lambda: tf.where([True, False], A, B),
    "while_loop": loop,
    "zeros_like": lambda: tf.zeros_like(tensor=A, optimize=False),
}


def shown(value):
    """Returns a value as something that JSON can hold."""
    if isinstance(value, (list, tuple)):
        return [shown(part) for part in value]
    if value is None:
        return None
    array = np.asarray(value)
    return array.astype("U").tolist() if array.dtype.kind in "OS" else array.tolist()


def main():
    """Prints the value of each call, or the error that it raises."""
    found = {}
    for name, call in CALLS.items():
        with tf.Graph().as_default(), tf.Session() as session:
            try:
                value = call()
                session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
                found[name] = shown(session.run(value))
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"[:200]
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(found.items())]
    print("{\n" + ",\n".join(lines) + "\n}")


main()
