"""Wrong arguments, labels and logits by name; read by make_generated.py and by the tests.

Each is a function of TensorFlow and of the module of the heads, so that tf.estimator and headway get the same.
"""


def _multi_label(labels, logits=(2, 3)):
    return lambda tf, heads: heads.MultiLabelHead(3).loss(labels(tf), tf.zeros(logits), {})


def _sparse(indices, values, shape=(2, 2)):
    return _multi_label(lambda tf: tf.sparse.SparseTensor(indices, values, shape))


def _options(**options):
    return lambda tf, heads: heads.MultiLabelHead(3, **options)


def _two_heads(heads, **options):
    return heads.MultiHead([heads.BinaryClassHead(name="a"), heads.RegressionHead(name="b")], **options)


def _multi_head(labels, logits):
    return lambda tf, heads: _two_heads(heads).loss(labels, logits(tf), {})


def _sequential(labels, mask=((True, False), (True, True)), **options):
    def call(tf, heads):
        features = {"x": tf.zeros([2]), **({} if mask is None else {"mask": tf.constant(mask)})}
        head = heads.SequentialHeadWrapper(heads.BinaryClassHead(), "mask", **options)
        return head.loss(labels=labels(tf), logits=tf.zeros([2, 2, 1]), features=features)

    return call


def _mixed_reductions(tf, heads):
    parts = [heads.BinaryClassHead(name="a"), heads.BinaryClassHead(name="b", loss_reduction="sum")]
    return heads.MultiHead(parts).loss_reduction


WRONG = {
    "no labels": _multi_label(lambda tf: None),
    "a two among multi-hot labels": _multi_label(lambda tf: tf.constant([[0, 1, 2], [0, 0, 0]])),
    "a negative number among multi-hot labels": _multi_label(lambda tf: tf.constant([[0, 1, -1], [0, 0, 0]])),
    "too few columns in multi-hot labels": _multi_label(lambda tf: tf.constant([[0, 1], [0, 0]])),
    "too few rows in multi-hot labels": _multi_label(lambda tf: tf.constant([[0, 1, 0]])),
    "too few logits": _multi_label(lambda tf: tf.constant([[0, 1, 0], [0, 0, 0]]), (2, 2)),
    "an id that is no class": _sparse([[0, 0], [1, 0]], [1, 3]),
    "a negative id": _sparse([[0, 0], [1, 0]], [1, -1]),
    "ids that are floats": _sparse([[0, 0], [1, 0]], [1.0, 2.0]),
    "too many rows of ids": _sparse([[0, 0], [1, 0]], [1, 2], (3, 2)),
    "one class": lambda tf, heads: heads.MultiLabelHead(1),
    "no number of classes": lambda tf, heads: heads.MultiLabelHead(None),
    "metrics for names without a vocabulary": _options(classes_for_class_based_metrics=["a"]),
    "metrics for an id that is no class": _options(classes_for_class_based_metrics=[3]),
    "a loss_fn of labels alone": _options(loss_fn=lambda labels: labels),
    "a loss_fn of other arguments": _options(loss_fn=lambda labels, logits, name: labels),
    "an unknown reduction": _options(loss_reduction="none"),
    "an unknown prediction": lambda tf, heads: heads.MultiLabelHead(3).predictions(tf.zeros([2, 3]), ["class_ids"]),
    "a rate above 1": lambda tf, heads: heads.LogisticRegressionHead().loss(
        tf.constant([[1.5], [0.0]]), tf.zeros([2, 1]), {}
    ),
    "two counts for one logit": lambda tf, heads: heads.PoissonRegressionHead().loss(
        tf.constant([[1.0, 2.0]] * 2), tf.zeros([2, 1]), {}
    ),
    "no label dimension": lambda tf, heads: heads.PoissonRegressionHead(0),
    "no heads": lambda tf, heads: heads.MultiHead([]),
    "a head without a name": lambda tf, heads: heads.MultiHead([heads.BinaryClassHead()]),
    "one weight for two heads": lambda tf, heads: _two_heads(heads, head_weights=[1.0]),
    "one tensor of labels for two heads": _multi_head([[1.0], [1.0]], lambda tf: tf.zeros([2, 2])),
    "no labels for a head": _multi_head({"a": [[1], [1]]}, lambda tf: tf.zeros([2, 2])),
    "no logits for a head": _multi_head({"a": [[1], [1]], "b": [[1], [1]]}, lambda tf: {"a": tf.zeros([2, 1])}),
    "too many logits for two heads": _multi_head({"a": [[1], [1]], "b": [[1], [1]]}, lambda tf: tf.zeros([2, 3])),
    "heads of different reductions": _mixed_reductions,
    "a mask without a name": lambda tf, heads: heads.SequentialHeadWrapper(heads.BinaryClassHead(), 3),
    "feature columns that are a number": _sequential(lambda tf: tf.zeros([2, 2]), feature_columns=3),
    "a feature column that is a number": _sequential(lambda tf: tf.zeros([2, 2]), feature_columns=["x", 3]),
    "several heads on a sequence": lambda tf, heads: heads.SequentialHeadWrapper(_two_heads(heads)),
    "no mask": _sequential(lambda tf: tf.zeros([2, 2]), mask=None),
    "a mask of one dimension": _sequential(lambda tf: tf.zeros([2, 2]), mask=[True, False]),
    "labels without steps": _sequential(lambda tf: tf.zeros([2])),
    "no feature of that name": _sequential(lambda tf: tf.zeros([2, 2]), feature_columns="w"),
    "fewer labels than steps": _sequential(lambda tf: tf.sparse.SparseTensor([[0, 0]], [1.0], [2, 2])),
}
