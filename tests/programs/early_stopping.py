"""A DNNRegressor that stops early in train_and_evaluate, and whose best model is exported."""

import glob
import os

import numpy as np
import shared
import tensorflow as tf
from absl import app, flags

flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = flags.FLAGS


def rows(count, seed):
    rng = np.random.RandomState(seed)
    x = rng.uniform(-1, 1, size=(count, 3)).astype(np.float32)
    # So few rows, and so noisy, that the model soon learns the noise.
    y = (x[:, 0] - 0.5 * x[:, 1] + 0.5 * rng.normal(size=count)).astype(np.float32)
    return {"x": x, "site": np.where(x[:, 2] > 0, "north", "south").astype(object)}, y


def train_input_fn():
    return tf.data.Dataset.from_tensor_slices(rows(40, 0)).shuffle(40, seed=1).repeat().batch(10)


def eval_input_fn():
    return tf.data.Dataset.from_tensor_slices(rows(100, 1)).batch(50)


def smaller_average(best_eval_result, current_eval_result):
    return best_eval_result["average_loss"] > current_eval_result["average_loss"]


def main(unused_argv):
    columns = [
        tf.feature_column.numeric_column("x", shape=(3,)),
        tf.feature_column.embedding_column(
            tf.feature_column.categorical_column_with_vocabulary_list("site", ["north", "south"], num_oov_buckets=1),
            dimension=2,
            initializer=shared.seeded(1),
        ),
    ]
    first = shared.first_values(
        {"dnn/hiddenlayer_0/kernel": [5, 16], "dnn/hiddenlayer_1/kernel": [16, 8], "dnn/logits/kernel": [8, 1]}, 0.5
    )
    estimator = tf.estimator.DNNRegressor(
        hidden_units=[16, 8],
        feature_columns=columns,
        model_dir=os.path.join(FLAGS.dir, "model"),
        optimizer=lambda: tf.keras.optimizers.legacy.Adam(learning_rate=0.02),
        activation_fn=tf.nn.tanh,
        config=tf.estimator.RunConfig(save_checkpoints_steps=20, keep_checkpoint_max=3, log_step_count_steps=20),
        warm_start_from=tf.estimator.WarmStartSettings(
            shared.write_checkpoint(os.path.join(FLAGS.dir, "first", "model"), first),
            vars_to_warm_start=".*kernel",
        ),
    )
    os.makedirs(estimator.eval_dir(), exist_ok=True)
    early_stopping = tf.estimator.experimental.stop_if_no_decrease_hook(
        estimator,
        metric_name="average_loss",
        max_steps_without_decrease=60,
        min_steps=40,
        run_every_secs=None,
        run_every_steps=20,
    )
    serving = tf.estimator.export.build_raw_serving_input_receiver_fn(
        {"x": tf.zeros([1, 3]), "site": tf.constant(["north"])}
    )
    best = tf.estimator.BestExporter("best", serving, compare_fn=smaller_average, exports_to_keep=2)
    metrics, _ = tf.estimator.train_and_evaluate(
        estimator,
        tf.estimator.TrainSpec(train_input_fn, max_steps=600, hooks=[early_stopping]),
        tf.estimator.EvalSpec(eval_input_fn, steps=None, exporters=best, start_delay_secs=0, throttle_secs=0),
    )
    exported = sorted(glob.glob(os.path.join(FLAGS.dir, "model", "export", "best", "*")))
    served = tf.saved_model.load(exported[-1]).signatures["predict"]
    x = tf.constant([[0.5, -0.5, 0.1], [0.0, 0.0, -1.0]])
    answer = served(x=x, site=tf.constant(["north", "elsewhere"]))
    shared.report(
        metrics=metrics,
        stopped_early=int(metrics["global_step"]) < 600,
        best=answer["predictions"].numpy(),
        exports=len(exported),
        checkpoints=len(tf.train.get_checkpoint_state(estimator.model_dir).all_model_checkpoint_paths),
    )


if __name__ == "__main__":
    app.run(main)
