"""A convolutional network of `tf.layers`, with batch normalisation by UPDATE_OPS, as the tutorials of 2017 had it."""

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.WARN)

tf.app.flags.DEFINE_string("dir", None, "Where the model goes.")
tf.app.flags.DEFINE_integer("train_steps", 60, "How many steps to train.")
FLAGS = tf.app.flags.FLAGS


def images(rows, seed):
    """Bars in a noisy square: upright (0), level (1), along the diagonal (2)."""
    rng = np.random.RandomState(seed)
    kind = rng.randint(0, 3, size=rows)
    pixels = rng.uniform(0, 0.6, size=(rows, 8, 8)).astype(np.float32)
    for row in range(rows):
        place = rng.randint(0, 8)
        if kind[row] == 0:
            pixels[row, :, place] += 0.5
        elif kind[row] == 1:
            pixels[row, place, :] += 0.5
        else:
            pixels[row] += 0.5 * np.eye(8, dtype=np.float32)
    return pixels.reshape(rows, 64), kind.astype(np.int32)


def cnn_model_fn(features, labels, mode):
    training = mode == tf.estimator.ModeKeys.TRAIN
    net = tf.reshape(features["x"], [-1, 8, 8, 1])
    net = tf.layers.conv2d(
        inputs=net, filters=6, kernel_size=[3, 3], padding="same", use_bias=False, kernel_initializer=shared.seeded(1)
    )
    net = tf.layers.batch_normalization(net, momentum=0.9, training=training, fused=True)
    net = tf.nn.relu(net)
    net = tf.layers.max_pooling2d(inputs=net, pool_size=[2, 2], strides=2)
    with tf.variable_scope("block2"):
        net = tf.layers.separable_conv2d(
            net,
            8,
            3,
            padding="same",
            depthwise_initializer=shared.seeded(2),
            pointwise_initializer=shared.seeded(3),
            name="separable",
        )
        net = tf.layers.batch_normalization(net, momentum=0.9, training=training, name="norm")
        net = tf.nn.relu(net)
    net = tf.layers.flatten(tf.layers.average_pooling2d(net, 2, 2))
    net = tf.layers.dense(
        net,
        16,
        activation=tf.nn.relu,
        kernel_initializer=shared.seeded(4),
        kernel_regularizer=tf.keras.regularizers.l2(0.001),
    )
    # A rate of zero: what is dropped would differ from run to run.
    net = tf.layers.dropout(net, rate=0.0, training=training)
    logits = tf.layers.dense(
        inputs=net,
        units=3,
        kernel_initializer=shared.seeded(5),
        kernel_constraint=tf.keras.constraints.MaxNorm(1.5),
        name="logits",
    )

    predictions = {
        "classes": tf.argmax(input=logits, axis=1),
        "probabilities": tf.nn.softmax(logits, name="softmax_tensor"),
    }
    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode=mode, predictions=predictions)

    loss = tf.losses.sparse_softmax_cross_entropy(labels=labels, logits=logits)
    loss += tf.losses.get_regularization_loss()
    if training:
        optimizer = tf.train.MomentumOptimizer(learning_rate=0.05, momentum=0.9)
        update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        with tf.control_dependencies(update_ops):
            train_op = optimizer.minimize(loss=loss, global_step=tf.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=train_op)

    eval_metric_ops = {
        "accuracy": tf.metrics.accuracy(labels=labels, predictions=predictions["classes"]),
        "per_class": tf.metrics.mean_per_class_accuracy(labels, predictions["classes"], num_classes=3),
    }
    return tf.estimator.EstimatorSpec(mode=mode, loss=loss, eval_metric_ops=eval_metric_ops)


def main(unused_argv):
    train_x, train_y = images(256, seed=0)
    test_x, test_y = images(96, seed=1)
    classifier = tf.estimator.Estimator(model_fn=cnn_model_fn, model_dir=FLAGS.dir)
    logging_hook = tf.train.LoggingTensorHook(tensors={"probabilities": "softmax_tensor"}, every_n_iter=50)
    train_input_fn = tf.estimator.inputs.numpy_input_fn(
        x={"x": train_x}, y=train_y, batch_size=24, num_epochs=None, shuffle=False
    )
    classifier.train(input_fn=train_input_fn, steps=FLAGS.train_steps, hooks=[logging_hook])
    eval_input_fn = tf.estimator.inputs.numpy_input_fn(x={"x": test_x}, y=test_y, num_epochs=1, shuffle=False)
    results = classifier.evaluate(input_fn=eval_input_fn)
    predict_input_fn = tf.estimator.inputs.numpy_input_fn(x={"x": test_x[:4]}, num_epochs=1, shuffle=False)
    predictions = list(classifier.predict(predict_input_fn))
    shared.report(
        metrics=results,
        probabilities=[row["probabilities"] for row in predictions],
        moving_mean=classifier.get_variable_value("batch_normalization/moving_mean"),
        variables=sorted(classifier.get_variable_names()),
    )


if __name__ == "__main__":
    tf.app.run()
