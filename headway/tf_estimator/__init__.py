"""The names of tf.estimator 2.15."""
