"""The ready-made models beside each other: quality after the same number of steps, and how long that took."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import _census
import _measure
import _text
import numpy as np

_BATCH = 256
_LEFT_OUT = ("marital_status", "relationship")
Figures = dict[str, float]


def _config(hw: Any, seed: int) -> Any:
    return hw.RunConfig(
        model_dir=tempfile.mkdtemp(), save_checkpoints_steps=10**6, tf_random_seed=seed, progress="none"
    )


def _trained(model: Any, rows: Any, steps: int) -> Figures:
    """Trains and returns the seconds, with tracing, and the steps per second after the first fifth."""
    marks = _measure.Marks(steps // 5)
    import headway as hw

    began = time.perf_counter()
    model.train(rows, steps=steps, hooks=[hw.estimators.every_n_steps(50, lambda run: marks.add(run.step))])
    return {"train_s": time.perf_counter() - began, **marks.figures()}


def _census_columns(hw: Any, train: _census.Table) -> tuple[list[Any], list[Any], list[Any]]:
    """Returns the wide and the deep columns of the classic model, and the fields of the table as they are."""
    fc = hw.feature_columns
    wide, deep = _census.columns(fc, train)
    words = [fc.categorical_column_with_vocabulary_list(name, v) for name, v in _census.vocabulary(train).items()]
    numbers = [column for column in deep if column.name in _census.NUMBERS]
    return wide, deep, [*words, *numbers]


def _wide_and_deep(hw: Any, wide: Any, deep: Any, hidden: list[int], config: Any, classes: int = 2) -> Any:
    import keras

    return hw.DNNLinearCombinedClassifier(
        linear_feature_columns=wide,
        linear_optimizer=keras.optimizers.Ftrl(_census.FTRL_RATE),
        dnn_feature_columns=deep,
        dnn_hidden_units=hidden,
        dnn_optimizer=keras.optimizers.Adam(0.001),
        n_classes=classes,
        config=config,
    )


def _of_census(name: str, folder: str | None, steps: int, seed: int) -> Figures:
    import headway as hw

    train, test = _census.load(folder)
    wide, deep, fields = _census_columns(hw, train)
    make, config, hidden = hw.input_pipelines.from_arrays, _config(hw, seed), _census.HIDDEN_UNITS
    rows = make(*train.both, batch_size=_BATCH, shuffle=True, num_epochs=None, seed=seed)
    models: dict[str, Callable[[], Any]] = {
        "combined": lambda: _wide_and_deep(hw, wide, deep, hidden, config),
        "deepfm": lambda: hw.DeepFMClassifier(hidden, fields, config=config),
        "cross": lambda: hw.DeepCrossClassifier(hidden, deep, config=config),
        "trees": lambda: hw.GradientBoostedTreesClassifier(fields, config=config),
    }
    model = models[name]()
    if name == "trees":
        began = time.perf_counter()
        model.train(make(*train.both, batch_size=4096))
        figures = {"train_s": time.perf_counter() - began}
    else:
        figures = _trained(model, rows, steps)
    return {**figures, "auc": float(model.evaluate(make(*test.both, batch_size=_BATCH))["auc"])}


def _of_two_tasks(name: str, folder: str | None, steps: int, seed: int) -> Figures:
    """Income, and whether somebody was never married, without the columns that say the latter: as in Ma et al. 2018."""
    import headway as hw

    train, test = _census.load(folder)
    wide, deep, _ = _census_columns(hw, train)
    wide, deep = ([column for column in part if not column.name.startswith(_LEFT_OUT)] for part in (wide, deep))
    config, heads = _config(hw, seed), hw.heads
    single = sorted(set(train.features["marital_status"]))[-2 if folder is None else 0]
    single = "Never-married" if folder is not None else single

    def labels(part: _census.Table) -> Any:
        unmarried = (part.features["marital_status"] == single).astype(np.int64)
        return {"income": part.labels, "single": unmarried}

    if name == "mmoe":
        tasks = [heads.BinaryClassHead(name=task) for task in ("income", "single")]
        model = hw.MMoEEstimator(tasks, deep, expert_units=[50], tower_units=[50], config=config)
    elif name == "single_combined":
        model = _wide_and_deep(hw, wide, deep, _census.HIDDEN_UNITS, config)
    else:
        model = hw.DNNClassifier(_census.HIDDEN_UNITS, deep, optimizer="Adam", config=config)

    def rows(part: _census.Table, **settings: Any) -> Any:
        wanted = labels(part) if name == "mmoe" else labels(part)["income"]
        return hw.input_pipelines.from_arrays(part.features, wanted, batch_size=_BATCH, **settings)

    figures = _trained(model, rows(train, shuffle=True, num_epochs=None, seed=seed), steps)
    metrics = model.evaluate(rows(test))
    if name == "mmoe":
        return {**figures, "auc": float(metrics["auc/income"]), "second_auc": float(metrics["auc/single"])}
    return {**figures, "auc": float(metrics["auc"])}


def _of_letters(name: str, folder: str | None, steps: int, seed: int) -> Figures:
    import headway as hw

    fc, make = hw.feature_columns, hw.input_pipelines.from_arrays
    train, test, letters = _text.characters(folder)
    config = _config(hw, seed)
    if name == "transformer":
        column = fc.embedding_column(fc.sequence_categorical_column_with_identity("letters", letters), 32)
        model = hw.SequenceTransformerClassifier(
            [64], [column], n_classes=letters, num_layers=2, num_heads=4, model_dimension=64, config=config
        )
    else:
        bag = fc.categorical_column_with_identity("letters", letters)
        deep = [fc.embedding_column(bag, 32)]
        if name == "bag":
            model = hw.DNNClassifier([128, 64], deep, n_classes=letters, optimizer="Adam", config=config)
        else:
            model = _wide_and_deep(hw, [bag], deep, [128, 64], config, letters)
    rows = make(train.features, train.labels, batch_size=_BATCH, shuffle=True, num_epochs=None, seed=seed)
    figures = _trained(model, rows, steps)
    return {**figures, "accuracy": float(model.evaluate(make(test.features, test.labels, batch_size=500))["accuracy"])}


def _of_words(name: str, folder: str | None, steps: int, seed: int) -> Figures:
    import headway as hw

    train, test, candidates = _text.words(folder)
    if name == "popular":
        best = candidates["word"][np.argsort(-candidates["share"])[:10]]
        return {"recall": float(np.isin(test.labels, best).mean())}
    fc, make, size = hw.feature_columns, hw.input_pipelines.from_arrays, _text.WORDS + 1
    identities = [fc.categorical_column_with_identity(key, size) for key in ("before", "last")]
    rows = make(train.features, batch_size=_BATCH, shuffle=True, num_epochs=None, seed=seed)
    if name == "classes":
        deep = [fc.embedding_column(column, 64) for column in identities]
        model = _wide_and_deep(hw, identities[1:], deep, [64], _config(hw, seed), size)
        labelled = make(train.features, train.labels, batch_size=_BATCH, shuffle=True, num_epochs=None, seed=seed)
        figures = _trained(model, labelled, steps)
        test_rows = make(test.features, batch_size=_BATCH)
        found = model.predict(test_rows, predict_keys=["logits"], yield_single_examples=False)
        best = np.concatenate([np.argpartition(-batch["logits"], 10, axis=1)[:, :10] for batch in found])
        return {**figures, "recall": float((best == test.labels[:, None]).any(axis=1).mean())}
    word = fc.embedding_column(fc.categorical_column_with_identity("word", size), 64)
    model = hw.TwoTowerRetriever(
        [fc.embedding_column(column, 64) for column in identities],
        [word],
        hidden_units=[64],
        candidate_id_column="word",
        sampling_probability_column="share" if name == "towers" else None,
        config=_config(hw, seed),
    )
    figures = _trained(model, rows, steps)
    index = make({"word": candidates["word"]}, batch_size=1000)
    metrics = model.evaluate(make(test.features, batch_size=_BATCH), candidates_fn=index)
    return {**figures, "recall": float(metrics["recall@10"])}


_TASKS = {
    _of_census: ("combined", "deepfm", "cross", "trees"),
    _of_two_tasks: ("mmoe", "single", "single_combined"),
    _of_letters: ("transformer", "bag", "bag_combined"),
    _of_words: ("towers", "towers_uncorrected", "classes", "popular"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = {name: task for task, own in _TASKS.items() for name in own}
    parser.add_argument("--model", choices=names, required=True, help="what is trained")
    parser.add_argument("--census", help="folder with adult.data and adult.test, and tinyshakespeare.txt perhaps")
    parser.add_argument("--steps", type=int, default=2000, help="training steps")
    parser.add_argument("--seed", type=int, default=1, help="where the weights start")
    arguments = parser.parse_args()
    task = names[arguments.model]
    _measure.report(task(arguments.model, arguments.census, arguments.steps, arguments.seed))


if __name__ == "__main__":
    main()
