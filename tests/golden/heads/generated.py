"""Cases for the heads of make_generated.py, each from a seed; read by that script and by the tests.

Inputs are made by NumPy's RandomState, whose numbers never change. Heads and tensors are built from the modules that
are passed in, so that tf.estimator and headway build the same.
"""

import numpy as np

# How many cases there are of each kind. The seed of a case is 1000 times the position of its kind, plus its number.
KINDS = {"multi_label": 260, "poisson": 90, "logistic": 60, "multi_head": 170, "sequential": 130}

# Heads whose export outputs are stored: the kinds of cases that cover all of them, and some of their seeds.
EXPORTS = {"multi_label": 3, "poisson": 1, "logistic": 1, "multi_head": 30, "sequential": 12}

VOCABULARY = ["ant", "bee", "cat", "dog", "elk"]
_REDUCTIONS = ("sum_over_batch_size", "sum")


def seeds(kind):
    """Returns the seeds of all cases of a kind."""
    first = 1000 * (1 + list(KINDS).index(kind))
    return range(first, first + KINDS[kind])


class Case:
    """One case: how to make the head, and its batches.

    Attributes:
      head: (class name, arguments); a head among the arguments is such a pair too.
      penalties: regularization losses, or None.
      batches: (logits, labels, features) each. Logits and labels may be dicts; labels and features are arrays, or
        `Rows` of any length.
    """

    def __init__(self, kind, seed):
        self.rng = np.random.RandomState(seed)
        self.penalties = self.pick(None, None, [0.5], [0.25, 0.5])
        self.head, self.batches = getattr(self, "_" + kind)()

    def pick(self, *choices):
        """Returns one of the arguments."""
        return choices[self.rng.randint(len(choices))]

    def _sizes(self, smallest=0):
        """Returns the sizes of one to three batches."""
        return [self.pick(smallest, 1, 2, 3, 5, 7, self.rng.randint(8, 40)) for _ in range(self.pick(1, 2, 2, 3))]

    def _outer(self, rows):
        """Returns the shape of a batch up to the last dimension: mostly one dimension."""
        return (rows,) if self.depth == 1 else (rows, 3)

    def _logits(self, shape, scale=3.0):
        logits = (scale * self.rng.standard_normal(shape)).round(2)
        # On a threshold, and beyond what a float32 tells from 0 and 1.
        if self.rng.randint(3) == 0:
            logits[..., :1].flat[:3] = [0.0, 40.0, -120.0][: logits[..., :1].size]
        return logits.astype(np.float32)

    def _common(self, name=None):
        """Returns arguments that all heads take, and sets how weights look."""
        self.depth = self.pick(1, 1, 1, 1, 2)
        self.weights = self.pick(None, "flat", "column", "integers", "zeros", "some zeros", "scaled")
        arguments = {"loss_reduction": self.pick(*_REDUCTIONS)}
        name = name or self.pick(None, None, "first")
        if name:
            arguments["name"] = name
        return self._weighted(arguments)

    def _weighted(self, arguments):
        if self.weights == "scaled":
            arguments["weight_column"] = ("numeric_column", "w")
        elif self.weights is not None:
            arguments["weight_column"] = "w"
        return arguments

    def _features(self, outer, per_logit=None):
        features = {"factor": self.rng.uniform(0, 2, (*outer, 1)).round(2).astype(np.float32)}
        weights = self.rng.uniform(0, 2, (*outer, per_logit or 1)).round(2).astype(np.float32)
        if self.weights == "integers":
            weights = self.rng.randint(0, 4, (*outer, 1)).astype(np.int64)
        elif self.weights == "zeros":
            weights = np.zeros((*outer, 1), np.float32)
        elif self.weights == "some zeros":
            weights *= self.rng.randint(0, 2, weights.shape)
        if self.weights == "flat":
            weights = weights[..., 0]
        if self.weights is not None:
            features["w"] = weights
        return features

    def _multi_label(self):
        arguments = self._common()
        n = self.pick(2, 3, 5)
        form = self.pick("integers", "floats", "soft", "sparse", "ragged", "sparse names", "ragged names")
        arguments["n_classes"] = n
        arguments["thresholds"] = self.pick(None, [0.5], [0.1, 0.25, 0.9])
        named = "names" in form or self.pick(False, False, True)
        if named:
            arguments["label_vocabulary"] = VOCABULARY[:n]
        classes = sorted(self.rng.permutation(n)[: self.rng.randint(n + 1)].tolist())
        if named and self.pick(True, False):
            classes = [VOCABULARY[i] for i in classes]
        arguments["classes_for_class_based_metrics"] = classes or None
        loss_fn = self.pick(None, None, None, "squared", "by_feature")
        if loss_fn:
            arguments["loss_fn"] = ("function", loss_fn)
        batches = []
        for rows in self._sizes():
            outer = self._outer(rows)
            labels = self._multi_hot((*outer, n), form)
            batches.append((self._logits((*outer, n)), labels, self._features(outer)))
        return ("MultiLabelHead", arguments), batches

    def _multi_hot(self, shape, form):
        if form in ("integers", "floats"):
            return self.rng.randint(0, 2, shape).astype(np.int64 if form == "integers" else np.float32)
        if form == "soft":
            return self.rng.choice([0.0, 0.3, 1.0], shape).astype(np.float32)
        rows = []
        for _ in range(int(np.prod(shape[:-1]))):
            # Any number of classes in any order, now and then one of them twice.
            row = self.rng.permutation(shape[-1])[: self.rng.randint(shape[-1] + 1)].tolist()
            row += row[: self.rng.randint(2)]
            rows.append([VOCABULARY[i] for i in row] if "names" in form else row)
        return Rows(rows, shape[:-1], "ragged" in form, str if "names" in form else np.int64)

    def _numbers(self, shape, kind):
        if kind == "counts":
            return self.rng.poisson(self.pick(0.5, 3.0, 40.0), shape).astype(self.pick(np.float32, np.int64))
        if kind == "rates":
            return self.rng.choice([0.0, 0.25, 0.5, 1.0], shape).astype(np.float32)
        return self.rng.uniform(0, 5, shape).round(2).astype(np.float32)

    def _number_batches(self, dimension, label_kinds, scale):
        per_logit = self.pick(None, dimension) if self.weights == "column" else None
        flat = dimension == 1 and self.pick(True, False)
        kind = self.pick(*label_kinds)
        batches = []
        for rows in self._sizes():
            outer = self._outer(rows)
            labels = self._numbers(outer if flat else (*outer, dimension), kind)
            batches.append((self._logits((*outer, dimension), scale), labels, self._features(outer, per_logit)))
        return batches

    def _poisson(self):
        arguments = self._common()
        arguments["label_dimension"] = self.pick(1, 1, 2, 3)
        arguments["compute_full_loss"] = self.pick(True, True, False)
        return ("PoissonRegressionHead", arguments), self._number_batches(
            arguments["label_dimension"], ("counts", "counts", "numbers"), self.pick(0.3, 1.0)
        )

    def _logistic(self):
        arguments = self._common()
        return ("LogisticRegressionHead", arguments), self._number_batches(1, ("rates",), 3.0)

    def _multi_head(self):
        self.depth = self.pick(1, 1, 1, 2)
        self.weights = self.pick(None, "flat", "column", "integers", "zeros", "some zeros")
        reduction = self.pick(*_REDUCTIONS)
        heads = {f"head{i}": self._part(f"head{i}", reduction) for i in range(self.pick(1, 2, 2, 3, 4))}
        arguments = {"heads": [head for head, _, _ in heads.values()]}
        nested = len(heads) > 2 and self.pick(False, True)
        if nested:
            inner = ("MultiHead", {"heads": arguments["heads"][:2]})
            arguments["heads"] = [inner, *arguments["heads"][2:]]
        if self.pick(True, False):
            weights = self.rng.uniform(0, 2, len(arguments["heads"])).round(2)
            arguments["head_weights"] = [float(weight) for weight in weights]
        split = self.pick(True, False)
        batches = []
        for rows in self._sizes(smallest=1):
            outer = self._outer(rows)
            logits = {name: self._logits((*outer, dimension)) for name, (_, dimension, _) in heads.items()}
            labels = {name: make((*outer, dimension)) for name, (_, dimension, make) in heads.items()}
            if nested:
                labels["head0_head1"] = {name: labels.pop(name) for name in ("head0", "head1")}
            if not split:
                logits = np.concatenate(list(logits.values()), axis=-1)
            elif nested:
                logits["head0_head1"] = {name: logits.pop(name) for name in ("head0", "head1")}
            batches.append((logits, labels, self._features(outer)))
        return ("MultiHead", arguments), batches

    def _part(self, name, reduction):
        """Returns one of several heads, its number of logits, and what makes labels for logits of a shape."""
        rng = self.rng
        arguments = {"name": name, "loss_reduction": reduction}
        if self.pick(True, False):
            arguments = self._weighted(arguments)
        kind = self.pick("binary", "classes", "labels", "numbers", "counts", "rates")
        if kind == "binary":
            arguments["thresholds"] = self.pick(None, [0.5])
            return ("BinaryClassHead", arguments), 1, lambda shape: rng.randint(0, 2, shape).astype(np.int64)
        if kind == "classes":
            arguments["n_classes"] = 3
            return ("MultiClassHead", arguments), 3, lambda shape: rng.randint(0, 3, shape[:-1]).astype(np.int64)
        if kind == "labels":
            arguments.update({"n_classes": 2, "thresholds": [0.3], "classes_for_class_based_metrics": [1]})
            form = self.pick("integers", "sparse", "ragged")
            return ("MultiLabelHead", arguments), 2, lambda shape: self._multi_hot(shape, form)
        if kind == "numbers":
            arguments["label_dimension"] = 2
            return ("RegressionHead", arguments), 2, lambda shape: self._numbers(shape, "numbers")
        if kind == "counts":
            return ("PoissonRegressionHead", arguments), 1, lambda shape: self._numbers(shape, "counts")
        return ("LogisticRegressionHead", arguments), 1, lambda shape: self._numbers(shape, "rates")

    def _sequential(self):
        self.depth, self.weights = 2, self.pick(None, "flat", "column", "some zeros")
        head, dimension, make = self._part(self.pick(None, "step"), self.pick(*_REDUCTIONS))
        flat = head[0] in ("BinaryClassHead", "MultiClassHead") or (dimension == 1 and self.pick(True, False))
        arguments = {"static_head": head, "sequence_length_mask": self.pick("mask", "sequence_length_mask")}
        if self.weights:
            arguments["feature_columns"] = self.pick("w", ["w"])
        holes = self.pick(False, False, True)
        form = self.pick("dense", "dense", "sparse", "ragged")
        batches = []
        for rows in self._sizes():
            length = self.rng.randint(1, 6)
            mask = np.arange(length) < self.rng.randint(0, length + 1, (rows, 1))
            if holes:
                mask = self.rng.randint(0, 2, (rows, length)).astype(bool)
            labels = make((rows, length, dimension))
            features = {**self._features((rows, length)), arguments["sequence_length_mask"]: mask}
            if isinstance(labels, Rows):
                labels = self._multi_hot((rows, length, dimension), "integers")
            if flat and labels.ndim == 3:
                labels = labels[..., 0]
            if form != "dense" and labels.ndim == 2:
                steps = [labels[i][mask[i]].tolist() for i in range(rows)]
                labels = Rows(steps, (rows,), form == "ragged", labels.dtype)
            batches.append((self._logits((rows, length, dimension)), labels, features))
        return ("SequentialHeadWrapper", arguments), batches


class Rows:
    """Rows of different lengths.

    Args:
      rows: the values of each row.
      outer: the shape of the rows; its product is their number.
      ragged: whether headway is to get them as a ragged tensor; tf.estimator, which knows none, gets a sparse one.
      dtype: of the values.
    """

    def __init__(self, rows, outer, ragged, dtype):
        self.rows, self.outer, self.ragged, self.dtype = rows, outer, ragged, dtype

    def sparse(self, tf):
        """Returns the rows as a sparse tensor."""
        places = [(*np.unravel_index(i, self.outer), j) for i, row in enumerate(self.rows) for j in range(len(row))]
        places = np.array(places, np.int64).reshape(-1, len(self.outer) + 1)
        values = [value for row in self.rows for value in row]
        values = tf.constant(values, tf.string) if self.dtype is str else tf.constant(np.array(values, self.dtype))
        longest = max([len(row) for row in self.rows], default=0)
        return tf.sparse.SparseTensor(places, values, [*self.outer, longest])


def tensors(tf, value, *, ragged):
    """Returns arrays and `Rows`, alone or in dicts, as tensors."""
    if isinstance(value, dict):
        return {key: tensors(tf, item, ragged=ragged) for key, item in value.items()}
    if not isinstance(value, Rows):
        return tf.constant(value)
    sparse = value.sparse(tf)
    return tf.RaggedTensor.from_sparse(sparse) if ragged and value.ragged and len(value.outer) == 1 else sparse


def functions(tf):
    """Returns the losses that a case may name."""

    def squared(labels, logits):
        return tf.reduce_sum((tf.cast(labels, tf.float32) - logits) ** 2, axis=-1, keepdims=True)

    def by_feature(labels, logits, features):
        return squared(labels, logits) * features["factor"]

    return {"squared": squared, "by_feature": by_feature}


def build(tf, heads, numeric_column, head):
    """Returns the head that a case describes, of the module `heads`."""
    name, arguments = head
    made = dict(arguments)
    for key, value in arguments.items():
        if key == "heads":
            made[key] = [build(tf, heads, numeric_column, part) for part in value]
        elif key == "static_head":
            made[key] = build(tf, heads, numeric_column, value)
        elif isinstance(value, tuple) and value[0] == "function":
            made[key] = functions(tf)[value[1]]
        elif isinstance(value, tuple):
            made[key] = numeric_column(value[1], normalizer_fn=lambda weights: 2.0 * tf.cast(weights, tf.float32))
    return getattr(heads, name)(**made)


def first_rows(logits, rows=1):
    """Returns the logits that predictions are stored for."""
    if isinstance(logits, dict):
        return {key: first_rows(value, rows) for key, value in logits.items()}
    return logits[:rows]


def short_key(key):
    """Returns the key of a prediction as text; those of a MultiHead are nested pairs."""
    return key if isinstance(key, str) else "|".join(map(short_key, key))


def shown_exports(export_outputs):
    """Returns the kind of each signature and the names of its outputs, by name."""
    shown = {}
    for name, output in export_outputs.items():
        if hasattr(output, "outputs"):
            keys = sorted(output.outputs)
        else:
            keys = [key for key in ("classes", "scores", "value") if getattr(output, key, None) is not None]
        shown[name] = [type(output).__name__, *keys]
    return shown
