"""Writes updates.json: what the optimizers of tf.keras.optimizers.legacy make of a table and of a matrix.

Run it with a Python that has TensorFlow 2.15: `python make_updates.py`. Each optimizer of pairs.py takes a few steps;
the gradient of the table is sparse and lacks rows, which are others in each step. The values of both, and of the slots,
after the last step are kept.
"""

import json
import pathlib

import pairs
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
TABLE = [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6], [0.7, -0.8]]
MATRIX = [[0.7, 0.1], [-0.3, 0.2]]
# For each step: rows of the table, one of them twice, their gradients, and the gradient of the matrix.
STEPS = [
    ([0, 1, 0], [[0.1, 0.2], [-0.3, 0.1], [0.2, -0.1]], [[0.3, -0.1], [0.01, 0.2]]),
    ([1, 2], [[0.2, -0.2], [0.1, 0.5]], [[-0.2, 0.1], [0.0, -0.3]]),
    ([2, 0, 2], [[0.3, 0.3], [-0.1, 0.4], [0.1, -0.2]], [[0.1, 0.1], [0.2, 0.1]]),
    ([1], [[0.05, -0.4]], [[0.4, -0.2], [-0.1, 0.3]]),
    ([0, 2], [[0.2, 0.1], [-0.6, 0.2]], [[0.1, 0.3], [0.2, -0.2]]),
]


def main():
    results = {}
    for name, (kind, settings) in pairs.OPTIMIZERS.items():
        if settings is None:
            continue
        optimizer = getattr(tf.keras.optimizers.legacy, kind)(**settings)
        variables = [tf.Variable(TABLE, name="table"), tf.Variable(MATRIX, name="matrix")]
        for rows, values, dense in STEPS:
            sparse = tf.IndexedSlices(tf.constant(values), tf.constant(rows, tf.int64), tf.constant([4, 2], tf.int64))
            gradients = [sparse, tf.constant(dense)]
            if optimizer.clipnorm:
                # As in a model, where the rows of a gradient are distinct.
                distinct, places = tf.unique(sparse.indices)
                summed = tf.math.unsorted_segment_sum(sparse.values, places, tf.size(distinct))
                gradients[0] = tf.IndexedSlices(summed, distinct, sparse.dense_shape)
                gradients = optimizer._transform_unaggregated_gradients(list(zip(gradients, variables, strict=True)))
                gradients = [gradient for gradient, _ in optimizer._transform_gradients(gradients)]
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        slots = {
            f"{v.name[:-2]}/{slot}": optimizer.get_slot(v, slot)
            for v in variables
            for slot in optimizer.get_slot_names()
        }
        found = {"table": variables[0], "matrix": variables[1], **slots}
        results[name] = {key: value.numpy().tolist() for key, value in found.items()}
    text = json.dumps({"start": [TABLE, MATRIX], "steps": STEPS, "results": results}, separators=(",", ":"))
    (HERE / "updates.json").write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
