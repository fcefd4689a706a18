"""tf.contrib, which ended with TensorFlow 1: what to write for the names that old programs use most."""

from __future__ import annotations

# A module -> the module that has its names, or name -> what to write.
INSTEAD = {
    "cluster_resolver": "tf.distribute.cluster_resolver",
    "crf": "a loss of one's own by tf.scan: TensorFlow has none, and tensorflow-addons ended with 2.15",
    "data": "tf.data.experimental",
    "data.AUTOTUNE": "tf.data.AUTOTUNE",
    "data.Dataset": "tf.data.Dataset",
    "data.batch_and_drop_remainder": "dataset.batch(size, drop_remainder=True)",
    "data.map_and_batch": "dataset.map(...).batch(...)",
    "data.parallel_interleave": "dataset.interleave(..., num_parallel_calls=tf.data.AUTOTUNE)",
    "data.shuffle_and_repeat": "dataset.shuffle(...).repeat()",
    "distribute": "tf.distribute",
    "distribute.DistributeConfig": "RunConfig(train_distribute=..., eval_distribute=...)",
    "distribute.CollectiveAllReduceStrategy": "tf.distribute.MultiWorkerMirroredStrategy",
    "distribute.ParameterServerStrategy": "tf.distribute.ParameterServerStrategy",
    "eager": "tf",
    "eager.enable_eager_execution": "tf.compat.v1.enable_eager_execution",
    "estimator": "tf.estimator",
    "estimator.TowerOptimizer": (
        "the optimizer alone, with RunConfig(train_distribute=tf.distribute.MirroredStrategy())"
    ),
    "estimator.binary_classification_head": "tf.estimator.BinaryClassHead",
    "estimator.clip_gradients_by_norm": (
        "RunConfig(gradient_clipping=...) of headway, or tf.clip_by_global_norm of the gradients"
    ),
    "estimator.InMemoryEvaluatorHook": "tf.estimator.experimental.InMemoryEvaluatorHook",
    "estimator.dnn_logit_fn_builder": "tf.compat.v1.estimator.experimental.dnn_logit_fn_builder",
    "estimator.linear_logit_fn_builder": "tf.compat.v1.estimator.experimental.linear_logit_fn_builder",
    "estimator.make_early_stopping_hook": "tf.estimator.experimental.make_early_stopping_hook",
    "estimator.multi_class_head": "tf.estimator.MultiClassHead",
    "estimator.multi_head": "tf.estimator.MultiHead",
    "estimator.multi_label_head": "tf.estimator.MultiLabelHead",
    "estimator.poisson_regression_head": (
        "tf.estimator.PoissonRegressionHead(label_dimension, weight_column), in this order"
    ),
    "estimator.logistic_regression_head": "tf.estimator.LogisticRegressionHead",
    "estimator.read_eval_metrics": "headway.read_eval_metrics",
    "estimator.regression_head": "tf.estimator.RegressionHead(label_dimension, weight_column), in this order",
    "estimator.RNNClassifier": "tf.estimator.experimental.RNNClassifier",
    "estimator.RNNEstimator": "tf.estimator.experimental.RNNEstimator",
    "estimator.replicate_model_fn": "RunConfig(train_distribute=tf.distribute.MirroredStrategy())",
    "estimator.stop_if_higher_hook": "tf.estimator.experimental.stop_if_higher_hook",
    "estimator.stop_if_lower_hook": "tf.estimator.experimental.stop_if_lower_hook",
    "estimator.stop_if_no_decrease_hook": "tf.estimator.experimental.stop_if_no_decrease_hook",
    "estimator.stop_if_no_increase_hook": "tf.estimator.experimental.stop_if_no_increase_hook",
    "feature_column": "tf.feature_column",
    "feature_column.sequence_input_layer": "headway.feature_columns.SequenceFeatures(columns)(features)",
    "framework.arg_scope": "the arguments at each call: nothing else has arg_scope",
    "framework.assign_from_checkpoint_fn": "tf.compat.v1.train.init_from_checkpoint",
    "framework.get_global_step": "tf.compat.v1.train.get_global_step",
    "framework.get_or_create_global_step": "tf.compat.v1.train.get_or_create_global_step",
    "framework.get_variables": "tf.compat.v1.global_variables",
    "framework.get_variables_to_restore": "tf.compat.v1.global_variables, less what shall not be restored",
    "framework.init_from_checkpoint": "tf.compat.v1.train.init_from_checkpoint",
    "framework.list_variables": "tf.train.list_variables",
    "framework.load_variable": "tf.train.load_variable",
    "framework.nest": "tf.nest",
    "framework.sort": "tf.sort",
    "layers.apply_regularization": "tf.add_n([regularizer(w) for w in weights])",
    "layers.avg_pool2d": "tf.compat.v1.layers.average_pooling2d(inputs, pool_size, strides=2)",
    "layers.batch_norm": "tf.compat.v1.layers.batch_normalization(..., momentum=0.999, scale=False, training=True)",
    "layers.bucketized_column": "tf.feature_column.bucketized_column",
    "layers.conv2d": "tf.compat.v1.layers.conv2d(..., padding='same', activation=tf.nn.relu)",
    "layers.convolution2d": "tf.compat.v1.layers.conv2d(..., padding='same', activation=tf.nn.relu)",
    "layers.create_feature_spec_for_parsing": "tf.feature_column.make_parse_example_spec",
    "layers.crossed_column": "tf.feature_column.crossed_column",
    "layers.dropout": "tf.compat.v1.layers.dropout(..., rate=1 - keep_prob, training=True)",
    "layers.embed_sequence": "tf.nn.embedding_lookup(tf.compat.v1.get_variable('embeddings', [vocab_size, dim]), ids)",
    "layers.embedding_column": "tf.feature_column.embedding_column",
    "layers.flatten": "tf.compat.v1.layers.flatten",
    "layers.fully_connected": "tf.compat.v1.layers.dense(..., activation=tf.nn.relu)",
    "layers.input_from_feature_columns": "tf.compat.v1.feature_column.input_layer",
    "layers.l1_l2_regularizer": "tf.keras.regularizers.L1L2(scale_l1, 0.5 * scale_l2)",
    "layers.l1_regularizer": "tf.keras.regularizers.L1(scale)",
    "layers.l2_regularizer": "tf.keras.regularizers.L2(0.5 * scale)",
    "layers.layer_norm": "tf.keras.layers.LayerNormalization(epsilon=1e-12)(x), for begin_norm_axis=-1",
    "layers.linear": "tf.compat.v1.layers.dense",
    "layers.max_pool2d": "tf.compat.v1.layers.max_pooling2d(inputs, pool_size, strides=2)",
    "layers.one_hot_column": "tf.feature_column.indicator_column",
    "layers.one_hot_encoding": "tf.one_hot",
    "layers.optimize_loss": "tf.compat.v1.train.AdamOptimizer(...).minimize(loss, global_step), after UPDATE_OPS",
    "layers.real_valued_column": "tf.feature_column.numeric_column",
    "layers.shared_embedding_columns": "tf.feature_column.shared_embeddings",
    "layers.sparse_column_with_hash_bucket": "tf.feature_column.categorical_column_with_hash_bucket",
    "layers.sparse_column_with_integerized_feature": "tf.feature_column.categorical_column_with_identity",
    "layers.sparse_column_with_keys": "tf.feature_column.categorical_column_with_vocabulary_list",
    "layers.sparse_column_with_vocabulary_file": "tf.feature_column.categorical_column_with_vocabulary_file",
    "layers.summarize_activation": "tf.compat.v1.summary.histogram",
    "layers.variance_scaling_initializer": "tf.compat.v1.variance_scaling_initializer(2.0)",
    "layers.weighted_sparse_column": "tf.feature_column.weighted_categorical_column",
    "layers.weighted_sum_from_feature_columns": (
        "tf.compat.v1.feature_column.linear_model, which returns the logits alone"
    ),
    "layers.xavier_initializer": "tf.compat.v1.glorot_uniform_initializer",
    "layers.xavier_initializer_conv2d": "tf.compat.v1.glorot_uniform_initializer",
    "learn.DNNClassifier": "tf.estimator.DNNClassifier",
    "learn.DNNLinearCombinedClassifier": "tf.estimator.DNNLinearCombinedClassifier",
    "learn.DNNRegressor": "tf.estimator.DNNRegressor",
    "learn.Estimator": "tf.estimator.Estimator",
    "learn.Experiment": "tf.estimator.train_and_evaluate with TrainSpec and EvalSpec",
    "learn.LinearClassifier": "tf.estimator.LinearClassifier",
    "learn.LinearRegressor": "tf.estimator.LinearRegressor",
    "learn.ModeKeys": "tf.estimator.ModeKeys, where INFER is PREDICT",
    "learn.ModelFnOps": "tf.estimator.EstimatorSpec",
    "learn.RunConfig": "tf.estimator.RunConfig",
    "learn.learn_runner": "tf.estimator.train_and_evaluate with TrainSpec and EvalSpec",
    "lookup": "tf.lookup",
    "lookup.HashTable": "tf.lookup.StaticHashTable",
    "lookup.MutableDenseHashTable": "tf.lookup.experimental.DenseHashTable",
    "lookup.MutableHashTable": "tf.lookup.experimental.MutableHashTable",
    "lookup.index_table_from_file": "tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(...), ...)",
    "lookup.index_table_from_tensor": "tf.lookup.StaticVocabularyTable(tf.lookup.KeyValueTensorInitializer(...), ...)",
    "lookup.index_to_string_table_from_file": "tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(...), default)",
    "lookup.index_to_string_table_from_tensor": "tf.gather",
    "metrics": "tf.compat.v1.metrics",
    "metrics.accuracy": "tf.reduce_mean(tf.cast(tf.equal(labels, predictions), tf.float32))",
    "metrics.confusion_matrix": "tf.math.confusion_matrix",
    "opt.AdamWOptimizer": "headway.minimize(tf.keras.optimizers.AdamW(rate, decay / rate), loss, variables)",
    "opt.LazyAdamOptimizer": "headway.minimize(headway.LazyAdam(rate), loss, variables)",
    "opt.NadamOptimizer": "headway.minimize(tf.keras.optimizers.Nadam(rate), loss, variables)",
    "predictor": "tf.saved_model.load(path).signatures[...]",
    "quantize": "the package tensorflow-model-optimization, for models of Keras 2 (tf_keras)",
    "rnn": "tf.compat.v1.nn.rnn_cell",
    "rnn.GRUBlockCell": "tf.compat.v1.nn.rnn_cell.GRUCell",
    "rnn.GRUBlockCellV2": "tf.compat.v1.nn.rnn_cell.GRUCell",
    "rnn.TimeReversedFusedRNN": "tf.compat.v1.nn.bidirectional_dynamic_rnn, for both directions",
    "rnn.stack_bidirectional_dynamic_rnn": "tf.compat.v1.nn.bidirectional_dynamic_rnn, layer by layer",
    "rnn.static_bidirectional_rnn": "tf.compat.v1.nn.static_bidirectional_rnn",
    "rnn.static_rnn": "tf.compat.v1.nn.static_rnn",
    "rnn.LSTMBlockCell": "tf.compat.v1.nn.rnn_cell.LSTMCell",
    "rnn.LSTMBlockFusedCell": "tf.compat.v1.nn.dynamic_rnn(tf.compat.v1.nn.rnn_cell.LSTMCell(n), x, time_major=True)",
    "rnn.LayerNormBasicLSTMCell": "tf.compat.v1.nn.rnn_cell.LSTMCell, which has no layer normalisation",
    "saved_model": "tf.compat.v1.saved_model",
    "seq2seq.sequence_loss": "tf.compat.v1.losses.sparse_softmax_cross_entropy(targets, logits, weights)",
    "seq2seq": "a tf.while_loop over the cell: the package tensorflow-addons ended with TensorFlow 2.15",
    "slim": "the package tf_slim, which works under `headway run`",
    "stateless": "tf.random.stateless_uniform and its like",
    "summary": "tf.summary",
    "tensorboard": "the package tensorboard",
    "tpu": "tf.compat.v1.estimator.tpu",
    "tpu.CrossShardOptimizer": "tf.compat.v1.tpu.CrossShardOptimizer",
    "tpu.bfloat16_scope": "tf.compat.v1.tpu.bfloat16_scope",
    "training.HParams": "a dict, or types.SimpleNamespace, as `params`",
    "training.checkpoints_iterator": "tf.train.checkpoints_iterator",
}
_STREAMING = "metrics.streaming_"
_WHOLE = {
    "feature_column",
    "distribute",
    "tpu",
    "rnn",
    "metrics",
    "data",
    "cluster_resolver",
    "eager",
    "saved_model",
    "estimator",
    "summary",
    "lookup",
}


def instead_of(name: str) -> tuple[str, str]:
    """Returns the part of a name below tf.contrib that is known, and what to write for it; "" for what is not known.

    Example:
      >>> instead_of("rnn.LSTMCell"), instead_of("layers.fully_connected")[1]
      (('rnn.LSTMCell', 'tf.compat.v1.nn.rnn_cell.LSTMCell'), 'tf.compat.v1.layers.dense(..., activation=tf.nn.relu)')
    """
    if name.startswith(_STREAMING):
        metric = name.removeprefix(_STREAMING).partition(".")[0]
        order = "" if metric.startswith("mean") and "_" not in metric else ", which takes labels before predictions"
        return f"{_STREAMING}{metric}", f"tf.compat.v1.metrics.{metric}{order}"
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        known = ".".join(parts[:end])
        if known in INSTEAD:
            if known in _WHOLE and end < len(parts):
                return ".".join(parts[: end + 1]), f"{INSTEAD[known]}.{parts[end]}"
            return known, INSTEAD[known]
    return ".".join(parts[:2]), ""
