"""Ready-made recurrent networks."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from headway import _summary
from headway import feature_columns as fc
from headway.estimators import _canned_recurrent
from headway.estimators._canned_layers import Variables
from headway.estimators._canned_model import (
    ALL_FEATURES,
    CannedEstimator,
    classification_head,
    names_argument,
)
from headway.estimators._optimizers import OptimizerMaker, optimizer_maker
from headway.estimators._run_config import RunConfig
from headway.feature_columns import FeatureColumn
from headway.heads import Head, SequentialHeadWrapper
from headway.heads._extra_metrics import Given

Optimizer = Any  # a name, a Keras optimizer, or a function that returns one

# tf.estimator's settings of optimizers that are given by name.
_RATE, _CLIP_NORM = 0.05, 5.0
_DEFAULT_CELL = "simple_rnn"
_CELLS = {
    "simple_rnn": (keras.layers.SimpleRNNCell, keras.layers.SimpleRNN),
    "lstm": (keras.layers.LSTMCell, keras.layers.LSTM),
    "gru": (keras.layers.GRUCell, keras.layers.GRU),
}
_SCOPE = "rnn_model"

# That no `cell_type` was given, which `rnn_cell_fn` asks for.
USE_DEFAULT = object()


@dataclasses.dataclass(frozen=True)
class RecurrentPart:
    """A recurrent network over sequence columns; made by `recurrent_part`.

    Attributes:
      sequence_columns: what a step of a row is made of.
      context_columns: dense columns that each step of the row gets as well.
      make_layer: makes the recurrent Keras layer.
      mask_name: name under which the head finds the mask of the steps that are there; None for one output for a row.
      optimizer: see `Part`.
    """

    sequence_columns: tuple[FeatureColumn, ...]
    context_columns: tuple[FeatureColumn, ...]
    make_layer: Callable[[], keras.layers.Layer]
    mask_name: str | None
    optimizer: OptimizerMaker

    @property
    def columns(self) -> tuple[FeatureColumn, ...]:
        """The columns that it reads."""
        return self.sequence_columns + self.context_columns

    def logits(
        self,
        features: dict[str, Any],
        units: int,
        shared: dict[str, tf.Variable],
        *,
        training: bool,
        seed: int | None,
    ) -> tuple[tf.Tensor, list[tf.Variable]]:
        """Returns float32 `[B, units]`, or `[B, T, units]` for each step, and the trainable variables."""
        del seed
        tables = Variables("sequence_features", shared)
        steps, lengths = fc.sequence_tensor(self.sequence_columns, features, tables)
        _summary.histogram(f"{_SCOPE}/sequence_input_layer/sequence_length", lambda: tf.cast(lengths, tf.float32))
        count = tf.shape(steps)[1]
        trained = list(tables.trainable)
        if self.context_columns:
            tables = Variables("dense_features", shared)
            context = fc.dense_tensor(self.context_columns, features, tables)
            steps = tf.concat([steps, tf.repeat(context[:, tf.newaxis], count, axis=1)], 2)
            trained += tables.trainable
        if steps.shape[1] is None:
            # A recurrent layer has no output after no steps at all: where no row has any, there is a masked one.
            steps = tf.pad(steps, [[0, 0], [0, tf.cast(tf.equal(count, 0), tf.int32)], [0, 0]])
        mask = tf.sequence_mask(lengths, tf.shape(steps)[1])
        with keras.name_scope(_SCOPE):
            recurrent, logits_layer = self.make_layer(), keras.layers.Dense(units, name="logits")
            logits = logits_layer(_canned_recurrent.call(recurrent, steps, mask, training=training))
        trained += [weight.value for layer in (recurrent, logits_layer) for weight in layer.trainable_variables]
        if self.mask_name is not None:
            logits = logits[:, :count]
            features.setdefault(self.mask_name, mask[:, :count])
        return tf.cast(logits, tf.float32), trained


def recurrent_part(
    sequence_feature_columns: Any,
    context_feature_columns: Any,
    units: Any,
    cell_type: Any,
    rnn_cell_fn: Any,
    mask_name: str | None,
    optimizer: Any,
) -> RecurrentPart:
    """Returns the recurrent part of a model, checked.

    Args:
      sequence_feature_columns: sequence columns.
      context_feature_columns: dense columns, or None.
      units: number of units in each layer, or in the only one; None with `rnn_cell_fn`.
      cell_type: "simple_rnn", "lstm", "gru", or a class of cells; `USE_DEFAULT` for the first.
      rnn_cell_fn: returns a Keras cell, or a list of them; None with `units`.
      mask_name: see `RecurrentPart`.
      optimizer: see `optimizer_maker`.

    Raises:
      ValueError: if one of the arguments is not as above.
    """
    context: tuple[FeatureColumn, ...] = ()
    if context_feature_columns:
        context = names_argument(
            "context_feature_columns", lambda: fc.DenseFeatures(context_feature_columns).feature_columns
        )
    return RecurrentPart(
        sequence_columns=names_argument(
            "sequence_feature_columns", lambda: fc.SequenceFeatures(sequence_feature_columns).feature_columns
        ),
        context_columns=context,
        make_layer=_layer_maker(units, cell_type, rnn_cell_fn, return_sequences=mask_name is not None),
        mask_name=mask_name,
        optimizer=optimizer_maker(optimizer, _RATE, "optimizer", clipnorm=_CLIP_NORM),
    )


def _layer_maker(
    units: Any, cell_type: Any, rnn_cell_fn: Any, *, return_sequences: bool
) -> Callable[[], keras.layers.Layer]:
    if rnn_cell_fn is not None:
        if units is not None or cell_type is not USE_DEFAULT:
            given = "" if cell_type is USE_DEFAULT else f", cell_type={cell_type!r}"
            raise ValueError(
                f"units and cell_type must not be specified when using rnn_cell_fn. Received: units={units!r}{given}."
            )
        if not callable(rnn_cell_fn):
            raise ValueError(
                "`rnn_cell_fn` must be a function without arguments that returns a Keras cell, or a list of cells. "
                f"Received: {rnn_cell_fn!r}."
            )
        return lambda: keras.layers.RNN(_checked_cells(rnn_cell_fn()), return_sequences=return_sequences)
    known = cell_type is USE_DEFAULT or callable(cell_type) or (isinstance(cell_type, str) and cell_type in _CELLS)
    if not known:
        raise ValueError(
            "`cell_type` should be a class producing a RNN cell, or a string specifying the cell type. Supported "
            f"strings are: {list(_CELLS)}. Received: {cell_type!r}."
        )
    numbers = _checked_units(units)
    # tf.estimator has a layer with a name of its own for a number, and layers of cells for a list of numbers.
    if isinstance(cell_type, str) and not hasattr(units, "__iter__"):
        layer = _CELLS[cell_type][1]
        return lambda: layer(numbers[0], return_sequences=return_sequences)
    cell = cell_type if callable(cell_type) else _CELLS[_DEFAULT_CELL if cell_type is USE_DEFAULT else cell_type][0]

    def make() -> keras.layers.Layer:
        cells = _checked_cells([cell(units=number) for number in numbers])
        return keras.layers.RNN(cells[0] if len(cells) == 1 else cells, return_sequences=return_sequences)

    return make


def _checked_units(units: Any) -> list[int]:
    numbers = list(units) if hasattr(units, "__iter__") and not isinstance(units, str | Mapping) else [units]
    if not numbers or any(isinstance(n, bool) or not hasattr(n, "__index__") or n < 1 for n in numbers):
        raise ValueError(
            "`units` must be the number of units in each recurrent layer, such as [32, 16], integers >= 1; or leave it "
            f"out and pass `rnn_cell_fn`. Received: {units!r}."
        )
    return [int(n) for n in numbers]


def _checked_cells(cells: Any) -> Any:
    for cell in cells if isinstance(cells, list | tuple) else [cells]:
        if not isinstance(cell, keras.layers.Layer) or not hasattr(cell, "state_size"):
            raise ValueError(
                "A RNN cell must be a Keras 3 layer with a `call` method and a `state_size`, such as "
                f"keras.layers.LSTMCell(32). Received: {cell!r} of type {type(cell).__name__}."
            )
        if cell.built:
            raise ValueError(
                f"`rnn_cell_fn` must return new cells each time that it is called. Received {cell.name!r}, which has "
                "variables already. Make the cells inside the function."
            )
    return cells


class RNNEstimator(CannedEstimator):
    """A recurrent network over sequence columns, with a head of the caller's.

    The recurrent layers read a row step by step; what they have at its last step, or at each step
    (`return_sequences`), becomes the logits that `head` turns into loss, metrics and predictions. Steps behind the end
    of a row change nothing; a row without steps has the logits of a network that has seen nothing.

    Args:
      head: a head of `headway.heads`, or one of your own. It may read any feature: all of them are passed on. With
        `return_sequences` a `SequentialHeadWrapper`.
      sequence_feature_columns: `sequence_numeric_column`s, and embedding and indicator columns over
        `sequence_categorical_column_with_*`. The features are dense, sparse or ragged.
      context_feature_columns: numeric, bucketized, indicator and embedding columns, whose values are given to the
        network at each step; or None.
      units: number of units in each recurrent layer, such as `[32, 16]`, or in the only one.
      cell_type: "simple_rnn" (the default), "lstm" or "gru"; or a class of Keras cells.
      rnn_cell_fn: function without arguments that returns a Keras cell or a list of cells, one for each layer; in the
        place of `units` and `cell_type`. It is called in each trace of the model.
      return_sequences: whether there is an output for each step. The head finds the mask of the steps that are there
        under its `sequence_length_mask`; one that is among the features goes first.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      optimizer: name of a Keras optimizer (learning rate 0.05, each gradient clipped to a norm of 5), an instance, or a
        function that returns one. The function is called in each trace of the model.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway import heads
      >>> from headway.estimators import RNNEstimator, RunConfig
      >>> load = fc.sequence_numeric_column("load")
      >>> def input_fn():
      ...     rows = {"load": tf.ragged.constant([[0.5, 1.0], [2.0]])}
      ...     return tf.data.Dataset.from_tensors((rows, tf.constant([1.5, 2.0]))).repeat()
      >>> model = RNNEstimator(
      ...     heads.RegressionHead(), [load], units=[4], cell_type="gru", config=RunConfig(progress="none"))
      >>> first = next(model.train(input_fn, steps=2).predict(input_fn))
      >>> first["predictions"].shape
      (1,)
    """

    def __init__(
        self,
        head: Head,
        sequence_feature_columns: Iterable[FeatureColumn],
        context_feature_columns: Iterable[FeatureColumn] | None = None,
        units: int | Iterable[int] | None = None,
        cell_type: Any = USE_DEFAULT,
        rnn_cell_fn: Callable[[], Any] | None = None,
        return_sequences: bool = False,
        model_dir: str | os.PathLike[str] | None = None,
        optimizer: Optimizer = "Adagrad",
        config: RunConfig | None = None,
        warm_start_from: Any = None,
    ) -> None:
        mask_name = None
        if return_sequences:
            if not isinstance(head, SequentialHeadWrapper):
                raise ValueError(
                    "Provided head must be a `SequentialHeadWrapper` object when `return_sequences` is set to True: "
                    f"`SequentialHeadWrapper(head)`. Received: {head!r}."
                )
            mask_name = head.input_sequence_mask_key
        super().__init__(
            head,
            [
                recurrent_part(
                    sequence_feature_columns,
                    context_feature_columns,
                    units,
                    cell_type,
                    rnn_cell_fn,
                    mask_name,
                    optimizer,
                )
            ],
            ALL_FEATURES,
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )


class RNNClassifier(CannedEstimator):
    """Classifies sequences, or each of their steps, with a recurrent network.

    The network is that of `RNNEstimator`, with one logit (two classes) or one per class.

    Args:
      sequence_feature_columns: see `RNNEstimator`.
      context_feature_columns: see `RNNEstimator`.
      units: see `RNNEstimator`.
      cell_type: see `RNNEstimator`.
      rnn_cell_fn: see `RNNEstimator`.
      return_sequences: whether each step is classified. Labels have shape `[B, T]` then, dense, sparse or ragged;
        predictions are those of all steps, and hold the mask of those that are there.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      n_classes: number of classes. Labels are integers from 0, or words of `label_vocabulary`; shape `[B]` or `[B,
        1]`.
      weight_column: name of the feature with the weights of examples, or a numeric column of it; with
        `return_sequences` the name of a feature with the weights of steps.
      label_vocabulary: the words that labels are, in the order of the classes; None for labels that are integers.
      optimizer: see `RNNEstimator`.
      loss_reduction: "sum_over_batch_size" (the mean of the weighted losses) or "sum".
      sequence_mask: with `return_sequences`, the name of the mask in the predictions. A feature of that name, `[B, T]`,
        goes before the mask that follows from the columns.
      config: a `RunConfig`.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      label_smoothing: see `headway.heads.BinaryClassHead`.
      class_weights: see `headway.heads.BinaryClassHead`.
      metrics: further metrics; see `headway.heads.BinaryClassHead`.

    Raises:
      ValueError: if an argument is not as above, before anything is computed.

    Example:
      >>> from headway import feature_columns as fc
      >>> from headway.estimators import RNNClassifier, RunConfig
      >>> word = fc.sequence_categorical_column_with_hash_bucket("words", 100)
      >>> def input_fn():
      ...     rows = {"words": tf.ragged.constant([["so", "good"], ["bad"]])}
      ...     return tf.data.Dataset.from_tensors((rows, tf.constant([1, 0]))).repeat()
      >>> model = RNNClassifier(
      ...     [fc.embedding_column(word, 4)], units=[8], cell_type="lstm", config=RunConfig(progress="none"))
      >>> first = next(model.train(input_fn, steps=2).predict(input_fn))
      >>> first["probabilities"].shape
      (2,)
    """

    def __init__(
        self,
        sequence_feature_columns: Iterable[FeatureColumn],
        context_feature_columns: Iterable[FeatureColumn] | None = None,
        units: int | Iterable[int] | None = None,
        cell_type: Any = USE_DEFAULT,
        rnn_cell_fn: Callable[[], Any] | None = None,
        return_sequences: bool = False,
        model_dir: str | os.PathLike[str] | None = None,
        n_classes: int = 2,
        weight_column: str | FeatureColumn | None = None,
        label_vocabulary: Any = None,
        optimizer: Optimizer = "Adagrad",
        loss_reduction: str = "sum_over_batch_size",
        sequence_mask: str = "sequence_mask",
        config: RunConfig | None = None,
        warm_start_from: Any = None,
        *,
        label_smoothing: float = 0.0,
        class_weights: Mapping[Any, float] | Sequence[float] | None = None,
        metrics: Given = None,
    ) -> None:
        options = {"label_smoothing": label_smoothing, "class_weights": class_weights, "metrics": metrics}
        head = classification_head(n_classes, weight_column, label_vocabulary, loss_reduction, **options)
        if return_sequences:
            if weight_column is not None and not isinstance(weight_column, str):
                raise ValueError(
                    "`weight_column` must be None or the name of a feature where `return_sequences` is set to True. "
                    f"Received: {weight_column!r}."
                )
            head = SequentialHeadWrapper(head, sequence_mask, feature_columns=weight_column)
        super().__init__(
            head,
            [
                recurrent_part(
                    sequence_feature_columns,
                    context_feature_columns,
                    units,
                    cell_type,
                    rnn_cell_fn,
                    sequence_mask if return_sequences else None,
                    optimizer,
                )
            ],
            weight_column,
            head_features=(sequence_mask,) if return_sequences else (),
            model_dir=model_dir,
            config=config,
            warm_start_from=warm_start_from,
        )
