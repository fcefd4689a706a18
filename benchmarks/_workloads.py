"""What is measured, against whom, and with which settings."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Contender:
    """A program in contenders/ and how it is run.

    Attributes:
      name: how the tables call it.
      command: file name and arguments.
      settings: what a reader must know to judge it.
      oracle: whether it runs in the environment of tf.estimator.
    """

    name: str
    command: str
    settings: str
    oracle: bool = False


@dataclasses.dataclass(frozen=True)
class Workload:
    """Contenders that are compared with each other; the first is what the others are divided by.

    Attributes:
      title: heading of its table.
      figures: name of a figure in a contender's report -> heading of its column; others are not shown.
      contenders: in the order of the table.
      census: whether the contenders take the census table.
      smaller_is_better: the figures whose ratio is turned over, so that 2.0x always means twice as good.
      a_seed_each_round: whether the weights start anew in each round, where the figures depend on that.
      no_ratio: the figures for which a ratio says nothing.
    """

    title: str
    figures: dict[str, str]
    contenders: list[Contender]
    census: bool = False
    a_seed_each_round: bool = False
    smaller_is_better: tuple[str, ...] = ("first_step_s",)
    no_ratio: tuple[str, ...] = ("auc", "accuracy", "growth_percent", "after_5_mb", "after_last_mb")


_CENSUS_ROWS = "from_tensor_slices, shuffle (all rows), repeat, batch 256, prefetch 2"
_CENSUS_ESTIMATOR = Contender(
    "tf.estimator 2.15",
    "census_tf_estimator.py",
    f"DNNLinearCombinedClassifier, Ftrl 0.005 and Adagrad 0.001 (the defaults); {_CENSUS_ROWS}",
    oracle=True,
)
_CENSUS_HEADWAY = Contender(
    "headway, input_pipelines",
    "census_headway.py --input pipeline",
    "the same model; from_arrays(batch_size=256, shuffle=True), one pipeline object for all calls on the same rows",
)


_EMBEDDING = "DNNClassifier, one embedding column of dimension 16, hidden units 16, batch 256"


def _embedding(optimizer: str, note: str = "", steps: int = 32000) -> Contender:
    command = f"embeddings_headway.py --optimizer {optimizer} --steps {steps}"
    settings = f"{_EMBEDDING}; from_arrays{note}"
    return Contender(f"headway, {optimizer}", command, settings)


def _at_rate(contender: Contender, rate: float) -> Contender:
    command = f"{contender.command} --only_quality --dnn_rate {rate}"
    return dataclasses.replace(
        contender, command=command, settings=f"as above, Adagrad {rate}, 2,000 steps, another seed in each round"
    )


def _over_seeds(rate: float) -> Workload:
    return Workload(
        f"Census, quality after 2,000 steps, Adagrad {rate} and Ftrl 0.005",
        {"auc": "test AUC", "average_loss": "test loss"},
        [_at_rate(_CENSUS_ESTIMATOR, rate), _at_rate(_CENSUS_HEADWAY, rate)],
        census=True,
        a_seed_each_round=True,
        no_ratio=("auc", "average_loss"),
    )


def _repeated(contender: Contender, evaluations: int) -> Contender:
    command = f"{contender.command} --evaluations {evaluations}"
    return dataclasses.replace(contender, command=command, settings=f"{evaluations} evaluate() calls on the test rows")


def _model(name: str, model: str, settings: str) -> Contender:
    return Contender(name, f"models_headway.py --model {model}", settings)


WORKLOADS = {
    "census": Workload(
        "Census, wide & deep, batch 256",
        {
            "train_steps_per_s": "train, steps/s",
            "first_step_s": "to the first step, s",
            "evaluate_rows_per_s_first": "evaluate, rows/s, first",
            "evaluate_rows_per_s_again": "again",
            "predict_rows_per_s_first": "predict, rows/s, first",
            "predict_rows_per_s_again": "again",
            "auc": "test AUC",
            "cpu_ms_per_step": "CPU ms per step",
        },
        [
            _CENSUS_ESTIMATOR,
            Contender(
                "headway, same input_fn",
                "census_headway.py --input rows",
                f"the same model and the same input_fn: {_CENSUS_ROWS}",
            ),
            dataclasses.replace(_CENSUS_HEADWAY, command=f"{_CENSUS_HEADWAY.command} --more_steps 6000"),
            Contender(
                "Keras 3 fit",
                "census_keras.py --more_steps 6000",
                "preprocessing layers over the whole table once, batches gathered by row number, "
                "steps_per_execution=50, MultiOptimizer (Ftrl, Adagrad), jit_compile=False",
            ),
            Contender(
                "by hand, tf.while",
                "census_loop.py --more_steps 6000",
                "ids by NumPy once, batches gathered in the loop, all wide weights in one variable, 200 steps a call",
            ),
        ],
        census=True,
        smaller_is_better=("first_step_s", "cpu_ms_per_step"),
    ),
    "canned": Workload(
        "Every ready-made model on the census, steps/s",
        {
            "LinearClassifier": "Linear, classifier",
            "LinearRegressor": "regressor",
            "DNNClassifier": "DNN, classifier",
            "DNNRegressor": "regressor",
            "DNNLinearCombinedClassifier": "combined, classifier",
            "DNNLinearCombinedRegressor": "regressor",
            "BaselineClassifier": "baseline, classifier",
            "BaselineRegressor": "regressor",
            "RNNClassifier": "RNN",
            "KMeansClustering": "KMeans",
            "LinearSDCA": "Linear, SDCA",
        },
        [
            Contender(
                "tf.estimator 2.15",
                "canned_tf_estimator.py",
                f"default optimizers, hidden units 100 and 50, RNN of 16 units over 8 words; {_CENSUS_ROWS}; baselines "
                "over one feature; KMeans of the numbers, 10 clusters, in mini-batches",
                oracle=True,
            ),
            Contender("headway, same input_fn", "canned_headway.py", "the same models and the same input_fn"),
        ],
        census=True,
    ),
    "quality": _over_seeds(0.001),
    "quality-tuned": _over_seeds(0.05),
    "models": Workload(
        "Models beyond tf.estimator, batch 256, 2,000 steps",
        {
            "auc": "test AUC, income",
            "second_auc": "test AUC, never married",
            "accuracy": "test accuracy",
            "recall": "recall@10 of 3,000",
            "train_s": "training with tracing, s",
            "train_steps_per_s": "train, steps/s",
        },
        [
            _model("DNNLinearCombined", "combined", "the classic columns; Ftrl 0.005, Adam 0.001, units 100, 50"),
            _model("DeepFM", "deepfm", "the same table, all words and numbers as fields, no crosses; LazyAdam 0.001"),
            _model("DeepCross", "cross", "the deep columns; 2 cross layers beside units 100, 50; LazyAdam 0.001"),
            _model("GradientBoostedTrees", "trees", "the fields of DeepFM; up to 300 trees of depth 6, the defaults"),
            _model("DNN, without marital status", "single", "the deep columns but for marital status and relationship"),
            _model("DNNLinearCombined, without marital status", "single_combined", "the same, and the wide columns"),
            _model("MMoE, without marital status", "mmoe", "the same columns, 2 tasks, 4 experts of 50, towers of 50"),
            _model("DNN, bag of letters", "bag", "the next letter of a text after 32; embedding 32, units 128, 64"),
            _model("DNNLinearCombined, bag of letters", "bag_combined", "the same, and a weight for each letter"),
            _model("SequenceTransformer", "transformer", "the same; 2 layers, 4 heads, 64 values a step, units 64"),
            _model("most frequent words", "popular", "the next word of a text: the ten most frequent ones, always"),
            _model(
                "DNNLinearCombined, a class for each word", "classes", "embeddings of 64, units 64; wide: last word"
            ),
            _model("TwoTower, no log Q", "towers_uncorrected", "the next word, from the last word and the last four"),
            _model("TwoTower", "towers", "the same, with the sampling probability"),
        ],
        census=True,
        a_seed_each_round=True,
        no_ratio=("auc", "second_auc", "accuracy", "recall", "train_s", "train_steps_per_s"),
    ),
    "digits": Workload(
        "Digits, MLP 64-128-64-10, batch 64, Adam",
        {
            "train_steps_per_s": "train, steps/s",
            "first_step_s": "to the first step, s",
            "cpu_ms_per_step": "CPU ms per step",
            "accuracy": "accuracy on the training rows",
        },
        [
            Contender(
                "tf.estimator 2.15",
                "digits_tf_estimator.py --steps 4000",
                "DNNClassifier, legacy Adam 0.001; from_tensor_slices, shuffle, repeat, batch 64, prefetch 4",
                oracle=True,
            ),
            Contender(
                "headway, same tf.data",
                "digits_headway.py --input rows --steps 12000",
                "Estimator, model_fn of Keras layers, Adam 0.001; the same tf.data",
            ),
            Contender(
                "headway, input_pipelines",
                "digits_headway.py --input pipeline --steps 12000",
                "the same model_fn; from_arrays(batch_size=64, shuffle=True, drop_remainder=True)",
            ),
            Contender(
                "Keras 3 fit",
                "digits_keras.py --steps 12000",
                "Sequential, Adam 0.001, steps_per_execution=500, jit_compile=False; the same tf.data",
            ),
            Contender(
                "by hand, tf.while",
                "digits_loop.py --steps 12000",
                "raw variables, ResourceApplyAdam, 500 steps a call; the same tf.data",
            ),
        ],
        smaller_is_better=("first_step_s", "cpu_ms_per_step"),
    ),
    "host": Workload(
        "Columns of the census with crosses, rows/s of batches of strings, and of encoded columns",
        {
            "host_256": "host part, batch 256",
            "host_1024": "1,024",
            "host_4096": "4,096",
            "dense_256": "DenseFeatures, batch 256",
            "dense_1024": "1,024",
            "dense_4096": "4,096",
            "encoded": "host part, encoded",
        },
        [
            Contender(
                "tf.estimator 2.15",
                "host_tf_estimator.py",
                "tf.keras.layers.DenseFeatures of all columns, crosses as indicators, in tf.data; it has no host part, "
                "the first three columns repeat the others",
                oracle=True,
            ),
            Contender(
                "headway",
                "host_headway.py",
                "ColumnTransform, the host part of the same columns, mapped over the same cached batches by "
                "from_dataset and map_batches, as an Estimator does; and DenseFeatures, both parts, in tf.data. "
                "Encoded: the table 50 times in memory, strings as codes of distinct values",
            ),
        ],
        census=True,
    ),
    "embeddings": Workload(
        "Embedding tables from 10 thousand to 4 million rows, ms per step, medians over turns of the three sizes",
        {"ms_10k": "10k", "ms_1m": "1M", "ms_4m": "4M", "growth": "4M to 10k, in each turn"},
        [
            Contender(
                "tf.estimator 2.15, Adagrad",
                "embeddings_tf_estimator.py --steps 200",
                f"{_EMBEDDING}; cached tf.data",
                oracle=True,
            ),
            Contender(
                "Keras 3 fit, Adagrad",
                "embeddings_keras.py --steps 200",
                "the same layers, steps_per_execution=10; cached tf.data",
            ),
            _embedding("Adagrad"),
            _embedding("SGD", " (momentum 0.9)"),
            _embedding("Ftrl"),
            _embedding("LazyAdam"),
            _embedding("RMSprop", "; its averages decay in every row", 200),
            _embedding("Adam", "; its formula moves every row", 100),
        ],
        smaller_is_better=("ms_10k", "ms_1m", "ms_4m"),
        no_ratio=("growth",),
    ),
    "numbers": Workload(
        "200 numbers, ms per step",
        {"ms_pipeline": "input_pipelines", "ms_tf_data": "cached tf.data"},
        [
            Contender(
                "one numeric column of shape 200",
                "numeric_headway.py --columns 1",
                "DNNClassifier, hidden units 32, batch 256",
            ),
            Contender("200 numeric columns", "numeric_headway.py --columns 200", "the same"),
        ],
        smaller_is_better=("ms_pipeline", "ms_tf_data"),
    ),
    "memory": Workload(
        "Resident memory over evaluate() calls",
        {"after_5_mb": "MB after call 5", "after_last_mb": "MB after the last", "growth_percent": "growth, %"},
        [_repeated(_CENSUS_ESTIMATOR, 20), _repeated(_CENSUS_HEADWAY, 100)],
        census=True,
    ),
    "imports": Workload(
        "import headway",
        {
            "bare_python_s": "bare Python, s",
            "with_headway_s": "with the import, s",
            "import_headway_s": "difference, s",
        },
        [Contender("headway", "import_time.py", "processes in turn, medians of 20")],
        no_ratio=("bare_python_s", "with_headway_s", "import_headway_s"),
    ),
}
