"""A generative adversarial network: a subclass of Estimator, two losses and optimizers, steps in turns by hooks."""

import collections

import numpy as np
import shared
import tensorflow.compat.v1 as tf

tf.disable_v2_behavior()
tf.app.flags.DEFINE_string("dir", None, "Where the model goes.")
FLAGS = tf.app.flags.FLAGS

GANModel = collections.namedtuple(
    "GANModel", ["real", "generated", "real_logits", "fake_logits", "generator_variables", "discriminator_variables"]
)


class RunTrainOpsHook(tf.train.SessionRunHook):
    """Runs ops some times before each step."""

    def __init__(self, train_ops, train_steps):
        self._train_ops = train_ops if isinstance(train_ops, list | tuple) else [train_ops]
        self._train_steps = train_steps

    def before_run(self, run_context):
        for _ in range(self._train_steps):
            run_context.session.run(self._train_ops)


class GANEstimator(tf.estimator.Estimator):
    """Trains a generator against a discriminator; predicts what the generator makes of noise."""

    def __init__(self, model_dir, generator_fn, discriminator_fn, generator_optimizer, discriminator_optimizer):
        def _model_fn(features, labels, mode):
            if mode == tf.estimator.ModeKeys.PREDICT:
                with tf.variable_scope("Generator"):
                    return tf.estimator.EstimatorSpec(mode, predictions=generator_fn(features, mode))
            model = _make_gan_model(generator_fn, discriminator_fn, labels, features, mode)
            generator_loss = tf.losses.sigmoid_cross_entropy(tf.ones_like(model.fake_logits), model.fake_logits)
            discriminator_loss = tf.losses.sigmoid_cross_entropy(
                tf.ones_like(model.real_logits), model.real_logits, label_smoothing=0.25
            ) + tf.losses.sigmoid_cross_entropy(tf.zeros_like(model.fake_logits), model.fake_logits)
            if mode == tf.estimator.ModeKeys.EVAL:
                return _eval_spec(mode, model, generator_loss, discriminator_loss)
            with tf.name_scope("generator_train"):
                generator_op = generator_optimizer().minimize(generator_loss, var_list=model.generator_variables)
            with tf.name_scope("discriminator_train"):
                discriminator_op = discriminator_optimizer().minimize(
                    discriminator_loss, var_list=model.discriminator_variables
                )
            hooks = [RunTrainOpsHook(generator_op, 1), RunTrainOpsHook(discriminator_op, 2)]
            step = tf.train.get_or_create_global_step().assign_add(1)
            return tf.estimator.EstimatorSpec(
                mode, loss=generator_loss + discriminator_loss, train_op=step, training_hooks=hooks
            )

        super().__init__(model_fn=_model_fn, model_dir=model_dir)

    def sample(self, noise):
        """Returns what the generator makes of the noise."""
        dataset_fn = lambda: tf.data.Dataset.from_tensor_slices(noise).batch(2)  # noqa: E731
        return np.array([row["generated"] for row in self.predict(dataset_fn)])


def _make_gan_model(generator_fn, discriminator_fn, real, noise, mode):
    with tf.variable_scope("Generator") as generator_scope:
        generated = generator_fn(noise, mode)["generated"]
    with tf.variable_scope("Discriminator") as scope:
        fake_logits = discriminator_fn(generated, mode)
    with tf.variable_scope(scope, reuse=True):
        real_logits = discriminator_fn(real, mode)
    return GANModel(
        real,
        generated,
        real_logits,
        fake_logits,
        tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, generator_scope.name),
        tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope.name),
    )


def _eval_spec(mode, model, generator_loss, discriminator_loss):
    metrics = {
        "generator_loss": tf.metrics.mean(generator_loss),
        "mean_of_generated": tf.metrics.mean(model.generated),
        "mean_of_real": tf.metrics.mean(model.real),
        "fooled": tf.metrics.mean(tf.cast(model.fake_logits > 0, tf.float32)),
    }
    return tf.estimator.EstimatorSpec(mode, loss=generator_loss + discriminator_loss, eval_metric_ops=metrics)


def generator(noise, mode):
    net = tf.layers.dense(noise, 8, tf.nn.relu, kernel_initializer=shared.seeded(1), name="first")
    return {"generated": tf.layers.dense(net, 2, kernel_initializer=shared.seeded(2), name="second")}


def discriminator(points, mode):
    net = tf.layers.dense(points, 8, tf.nn.leaky_relu, kernel_initializer=shared.seeded(3), name="first")
    return tf.layers.dense(net, 1, kernel_initializer=shared.seeded(4), name="second")


def main(unused_argv):
    rng = np.random.RandomState(0)
    noise = rng.normal(size=(400, 3)).astype(np.float32)
    real = (rng.normal(size=(400, 2)) * 0.3 + [2.0, -1.0]).astype(np.float32)

    def input_fn():
        return tf.data.Dataset.from_tensor_slices((noise, real)).batch(40)

    estimator = GANEstimator(
        FLAGS.dir,
        generator,
        discriminator,
        lambda: tf.train.AdamOptimizer(0.02, beta1=0.5),
        lambda: tf.train.AdamOptimizer(0.02, beta1=0.5),
    )
    estimator.train(lambda: input_fn().repeat(), max_steps=40)
    metrics = estimator.evaluate(input_fn)
    shared.report(
        metrics=metrics,
        sample=estimator.sample(noise[:3]),
        variables=sorted(estimator.get_variable_names()),
        is_estimator=isinstance(estimator, tf.estimator.Estimator),
    )


if __name__ == "__main__":
    tf.app.run(main)
