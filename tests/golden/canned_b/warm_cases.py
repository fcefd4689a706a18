"""The warm starts that golden values exist for; read by make_warm_start.py and by the tests.

A network over a vocabulary of words is trained; another one, over other words and classes, is warm-started from it and
makes one step with a learning rate of zero.
"""

import numpy as np

OLD_WORDS, NEW_WORDS = ["u", "v", "w", "x"], ["x", "new", "u", "also new", "v"]
OLD_CLASSES, NEW_CLASSES = ["p", "q", "r"], ["r", "s", "q", "p"]
KERNELS, EMBEDDING = "dnn/hiddenlayer_0/kernel", "dnn/input_from_feature_columns/input_layer/word_embedding/"
EMBEDDING += "embedding_weights"
WORDS = {"new_vocab_size": 5, "num_oov_buckets": 2, "axis": 0}
CLASSES = {"new_vocab_size": 4, "num_oov_buckets": 0, "axis": 1}
RENAMED = {"dnn/hiddenlayer_1/kernel": "dnn/hiddenlayer_1/kernel", "dnn/hiddenlayer_1/bias": "dnn/hiddenlayer_0/bias"}

# Name -> arguments of WarmStartSettings. VocabInfo stands as its arguments, of "words" or of "classes".
CASES = {
    "hidden layers": {"vars_to_warm_start": ".*hiddenlayer.*"},
    "from the beginning of the name": {"vars_to_warm_start": "dnn/hiddenlayer_0"},
    "momentum as well": {"vars_to_warm_start": ["dnn/hiddenlayer", "training/SGD/dnn/hiddenlayer.*momentum"]},
    "words": {
        "vars_to_warm_start": ".*(input_layer|hidden).*",
        "var_name_to_vocab_info": {EMBEDDING: ("words", WORDS)},
    },
    "first words alone": {
        "vars_to_warm_start": None,
        "var_name_to_vocab_info": {EMBEDDING: ("words", {**WORDS, "old_vocab_size": 3})},
    },
    "classes": {
        "vars_to_warm_start": ".*logits/kernel",
        "var_name_to_vocab_info": {"dnn/logits/kernel": ("classes", CLASSES)},
    },
    "another name": {"vars_to_warm_start": ".*hiddenlayer_1.*", "var_name_to_prev_var_name": RENAMED},
}


def build(kinds, fc, sgd, old, **kwargs):
    """Returns the old or the new estimator, of the given modules; `sgd` makes its optimizer from a learning rate."""
    words, buckets = (OLD_WORDS, 1) if old else (NEW_WORDS, 2)
    column = fc.categorical_column_with_vocabulary_list("word", words, num_oov_buckets=buckets)
    classes = OLD_CLASSES if old else NEW_CLASSES
    return kinds.DNNClassifier(
        hidden_units=[3, 3],
        feature_columns=[fc.embedding_column(column, 2), fc.numeric_column("a")],
        n_classes=len(classes),
        label_vocabulary=classes,
        optimizer=lambda: sgd(0.5 if old else 0.0, momentum=0.9),
        **kwargs,
    )


def data(old):
    """Returns features and labels of 24 rows."""
    rng = np.random.RandomState(3)
    features = {
        "word": rng.choice(OLD_WORDS if old else NEW_WORDS, 24).astype(object),
        "a": rng.normal(size=24).astype(np.float32),
    }
    return features, rng.choice(OLD_CLASSES if old else NEW_CLASSES, 24).astype(object)
