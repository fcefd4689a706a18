"""`Estimator`: a `model_fn`, its variables, and the three verbs train, evaluate and predict."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import tensorflow as tf

from headway._encoded import compiled_transform
from headway._log import logger
from headway._spec import ModeKeys
from headway.estimators import _arguments, _checkpoints, _finite, _input, _warm_start
from headway.estimators._checkpoints import CheckpointDirectory
from headway.estimators._hooks import adapted
from headway.estimators._model import check_model_fn, invoke
from headway.estimators._run_config import RunConfig
from headway.estimators._runtime import ExportRequest, Setup
from headway.estimators._runtimes import Runtimes
from headway.estimators._tensors import TensorReader
from headway.estimators._variable_table import VariableTable

_T = TypeVar("_T")


class Estimator:
    """Trains, evaluates and applies the model that a `model_fn` describes.

    The `model_fn` is an ordinary function that makes its layers and returns an `EstimatorSpec`; the estimator calls it
    once for each mode, compiles what it returns, and keeps its variables by name. They are saved in `model_dir`, in
    tf.estimator's format: training goes on there, in this process or another one, and after any crash.

    Args:
      model_fn: `model_fn(features, labels, mode, params, config)`, of which it may leave out all but `features`.
      model_dir: directory of checkpoints and summaries; by default that of `config`, or a temporary one.
      config: a `RunConfig`.
      params: anything that the model_fn wants to know.
      warm_start_from: path of a checkpoint, or `WarmStartSettings`; used when `model_dir` has no checkpoint yet.
      input_transform: a function from a batch's features to those that the model_fn gets, row by row, in TensorFlow
        operations. It runs in the input pipeline, in parallel with training, for data in memory once for all rows; an
        exported model contains it.

    Raises:
      ValueError: if `model_fn` lacks an argument or has an unknown one, or if `model_dir` contradicts `config`.
      TypeError: if an argument has a wrong type.

    Example:
      >>> import keras, tensorflow as tf
      >>> import headway
      >>> from headway import heads, input_pipelines
      >>> def model_fn(features, labels, mode):
      ...     layers = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
      ...     logits = layers(features["x"])
      ...     return heads.RegressionHead().create_estimator_spec(
      ...         features, mode, logits, labels,
      ...         optimizer=keras.optimizers.Adam(), trainable_variables=layers.trainable_variables,
      ...     )
      >>> x, y = {"x": [[0.0], [1.0], [2.0]]}, [0.0, 2.0, 4.0]
      >>> rows = input_pipelines.from_arrays(x, y, batch_size=3, num_epochs=None)
      >>> estimator = headway.Estimator(model_fn, config=headway.RunConfig(progress="none"))
      >>> sorted(estimator.train(rows, steps=5).evaluate(rows, steps=1))
      ['average_loss', 'global_step', 'label/mean', 'loss', 'prediction/mean']
    """

    # Whether NaN in the input is a missing value for the model, which it takes as such.
    _takes_nan: ClassVar[bool] = False

    def __init__(
        self,
        model_fn: Callable[..., Any],
        model_dir: str | os.PathLike[str] | None = None,
        config: RunConfig | None = None,
        params: Any = None,
        warm_start_from: Any = None,
        *,
        input_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_model_fn(model_fn, params)
        if input_transform is not None and not callable(input_transform):
            raise TypeError(f"`input_transform` must be a function of the features. Received: {input_transform!r}.")
        self._model_fn = model_fn
        self._config = _arguments.with_model_dir(config, model_dir)
        self._params = copy.deepcopy(params)
        self._warm_start = _warm_start.checked(warm_start_from)
        # Functions keep their traces, so that the rows of training, evaluation and prediction share them.
        transform: Any = None if input_transform is None else compiled_transform(input_transform, input_transform)
        self._input_transform = self._checked_transform = transform
        if transform is not None and self._config.check_input and not self._takes_nan:
            names = getattr(input_transform, "float_names", {})
            self._checked_transform = compiled_transform(_finite.checked(transform, names), transform)
        self._directory = CheckpointDirectory(
            str(self._config.model_dir),
            keep_max=self._config.keep_checkpoint_max,
            keep_every_n_hours=self._config.keep_checkpoint_every_n_hours or float("inf"),
        )
        self._runtimes = Runtimes(
            Setup(
                model_fn=self._model_fn,
                params=self._params,
                config=self._config,
                warm_start=self._warm_start,
                directory=self._directory,
                transform=self._input_transform,
                checked_transform=self._checked_transform,
                adapt_input=self._adapt_input,
            )
        )
        _arguments.prepare_devices(self._config)

    @property
    def model_dir(self) -> str:
        """Directory of checkpoints and summaries."""
        return self._directory.model_dir

    @property
    def config(self) -> RunConfig:
        """A copy of the configuration."""
        return copy.deepcopy(self._config)

    @property
    def params(self) -> Any:
        """A copy of what the model_fn gets as `params`."""
        return copy.deepcopy(self._params)

    @property
    def model_fn(self) -> Callable[..., Any]:
        """The model_fn as a function of `(features, labels, mode, config)`, with `params` filled in."""

        def public_model_fn(features: Any, labels: Any, mode: str, config: RunConfig | None) -> Any:
            return invoke(self._model_fn, self._params, config or self._config, features, labels, mode)

        return public_model_fn

    def _call_model_fn(self, features: Any, labels: Any, mode: str, config: RunConfig | None) -> Any:
        """Calls `model_fn`, by the name that programs know which wrap an estimator of tf.estimator in another."""
        return self.model_fn(features, labels, mode, config)

    @property
    def input_transform(self) -> Any:
        """The function that makes the features of the model_fn from those of the input; None if they are the same."""
        return None if self._input_transform is None else self._input_transform.python_function

    @property
    def warm_start_from(self) -> _warm_start.WarmStartSettings | None:
        """The settings of the warm start, or None."""
        return self._warm_start

    def latest_checkpoint(self) -> str | None:
        """Returns the path, without ending, of the newest checkpoint in `model_dir`; None if there is none."""
        latest = self._directory.latest()
        return None if latest is None else latest.path

    def get_variable_names(self) -> list[str]:
        """Returns the names of all variables in the newest checkpoint.

        Raises:
          ValueError: if the model has not been trained.
        """
        return self._read_trained(lambda path: sorted(TensorReader(path).get_variable_to_shape_map()))

    def get_variable_value(self, name: str) -> np.ndarray[Any, Any]:
        """Returns the value of one variable in the newest checkpoint.

        Args:
          name: its full name, one of `get_variable_names()`; TensorFlow's ":0" may follow.

        Raises:
          ValueError: if the model has not been trained, or there is no such variable.
        """
        name = name.removesuffix(":0")

        def read(path: str) -> np.ndarray[Any, Any] | list[str]:
            reader = TensorReader(path)
            found = reader.has_tensor(name)
            return np.asarray(reader.get_tensor(name)) if found else sorted(reader.get_variable_to_shape_map())

        value = self._read_trained(read)
        if isinstance(value, list):
            raise ValueError(f"There is no variable {name!r} in {self._trained_path()}. There are: {value}.")
        return value

    def to_keras(self, checkpoint_path: str | os.PathLike[str] | None = None) -> Any:
        """Returns a Keras 3 model with the trained weights, whose predictions are those of `predict`.

        Ready-made models with feature columns can be turned into one, and what `model_to_estimator` has made.

        Args:
          checkpoint_path: path of a checkpoint, without ending; the newest one by default.

        Raises:
          ValueError: if the model has not been trained, or is another one.
        """
        del checkpoint_path
        raise ValueError(
            "to_keras() knows ready-made models and those of model_to_estimator. What this model_fn computes is no "
            "Keras model: build the model outside it and let both use it, or export_saved_model() and load that."
        )

    def summary(self, input_fn: Callable[..., Any] | None = None) -> VariableTable:
        """Returns a table of the variables, their sizes and roles, the slots of the optimizer among them; print it.

        Before the first training, which makes them, it needs the `input_fn` of `train`, or raises a ValueError.
        """
        return self._runtimes.summary(input_fn)

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> Estimator:
        """Trains until `steps` more steps are made, the global step is `max_steps`, or the input ends.

        Training goes on from the newest checkpoint in `model_dir`. If the run that wrote it was interrupted, the input
        goes on as well.

        Args:
          input_fn: a function that returns a `tf.data.Dataset` of `(features, labels)` batches, a headway pipeline, or
            tensors; or a pipeline.
          hooks: headway hooks or SessionRunHooks. Those that need a session take the model to the graph runtime.
          steps: number of steps to make in this call.
          max_steps: global step to reach; nothing is done if it is reached already.
          saving_listeners: `tf.compat.v1.train.CheckpointSaverListener`s, called around each checkpoint.

        Returns:
          The estimator itself.

        Raises:
          ValueError: if both `steps` and `max_steps` are given, one is not positive, or there is no data.
          NanLossDuringTrainingError: if the loss becomes NaN.
        """
        steps, max_steps = _arguments.train_steps(steps, max_steps, self._config)
        _input.check_input_fn(input_fn)
        user_hooks = [adapted(hook) for hook in _arguments.sequence(hooks, "hooks")]
        listeners = _arguments.sequence(saving_listeners, "saving_listeners")
        latest = _checkpoints.newest_readable(self._directory)
        if max_steps is not None and latest is not None and latest.step >= max_steps:
            logger.info(
                "Skipping training since max_steps has already saved: step %d of %d is reached in %s.",
                latest.step,
                max_steps,
                latest.path,
            )
            return self
        self._check_writable()
        self._runtimes.train(input_fn, user_hooks, listeners, steps=steps, max_steps=max_steps, latest=latest)
        return self

    fit = train

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Evaluates the model, and writes the result for TensorBoard to `model_dir/eval`, or `eval_<name>`.

        Args:
          input_fn: as in `train`.
          steps: number of batches; None for all.
          hooks: called around each batch.
          checkpoint_path: the checkpoint to evaluate; by default the newest one, or the weights that are in memory if
            they are newer.
          name: tells several evaluations of a model apart.

        Returns:
          The metrics by name; `loss`: the mean of the batches' losses; `global_step`: the step of the weights.

        Raises:
          ValueError: if `steps` is not positive, or a metric has a reserved name.
        """
        steps, path = _arguments.steps_or_none("steps", steps), _arguments.path_or_none(checkpoint_path)
        _input.check_input_fn(input_fn)
        eval_hooks = [adapted(hook) for hook in _arguments.sequence(hooks, "hooks")]
        return self._runtimes.evaluate(input_fn, eval_hooks, steps=steps, checkpoint_path=path, name=name)

    def predict(
        self,
        input_fn: Callable[..., Any],
        predict_keys: Sequence[str] | str | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        yield_single_examples: bool = True,
    ) -> Iterator[Any]:
        """Yields predictions, row by row, in the order of the input.

        Nothing is computed before the first row is asked for. Further calls trace and load nothing that is there
        already.

        Args:
          input_fn: as in `train`; labels are ignored.
          predict_keys: which of the model_fn's predictions to give; None for all.
          hooks: called around each batch.
          checkpoint_path: the checkpoint to use; by default the newest one.
          yield_single_examples: whether to yield rows; False for whole batches as the model_fn returned them.

        Yields:
          For dicts of predictions a dict of NumPy values for each row, otherwise one value for each row.

        Raises:
          ValueError: if `predict_keys` names nothing that is there, or batch sizes of predictions differ.
        """
        _input.check_input_fn(input_fn)
        keys = _arguments.names(predict_keys, "predict_keys")
        predict_hooks = [adapted(hook) for hook in _arguments.sequence(hooks, "hooks")]
        path = _arguments.path_or_none(checkpoint_path)
        return self._runtimes.predict(
            input_fn, predict_hooks, keys=keys, checkpoint_path=path, single=yield_single_examples
        )

    def export_saved_model(
        self,
        export_dir_base: str | os.PathLike[str],
        serving_input_receiver_fn: Callable[[], Any] | None = None,
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | os.PathLike[str] | None = None,
        experimental_mode: str = ModeKeys.PREDICT,
        *,
        example: Any = None,
    ) -> bytes:
        """Writes the model as a SavedModel, to be served or loaded without headway, and returns the path.

        The new directory below `export_dir_base` is named after the time in seconds, and appears when it is complete.

        Args:
          export_dir_base: where the directory is made.
          serving_input_receiver_fn: a function that returns a `ServingInputReceiver`: it makes placeholders, and
            features from them. None: clients send features such as those of `example`.
          assets_extra: path below the folder `assets.extra` -> file to copy there.
          as_text: whether to write the graph as text.
          checkpoint_path: the checkpoint to export; by default the newest one.
          experimental_mode: "infer"; or "train" or "eval", to export a graph that trains or evaluates.
          example: a pipeline, a dataset, or a batch of features: arrays, tensors or specs. By default the features
            that this estimator has seen last, or those that its feature columns read.

        Returns:
          The path of the new directory, as bytes.

        Raises:
          ValueError: if the model has not been trained, or what is received fits no signature.
        """
        inferred = serving_input_receiver_fn is None
        if inferred and experimental_mode != ModeKeys.PREDICT:
            raise ValueError(
                f"An input_receiver_fn must be defined to export mode {experimental_mode!r}: see "
                "`build_supervised_input_receiver_fn_from_input_fn`."
            )
        checkpoint = _checkpoints.at(self._runtimes.setup.exported_path(checkpoint_path))
        receiver_fn = serving_input_receiver_fn or self._runtimes.receiver_fn_like(example)
        return self._runtimes.export(
            ExportRequest(
                export_dir_base, {experimental_mode: receiver_fn}, assets_extra, as_text, checkpoint, inferred=inferred
            )
        )

    def experimental_export_all_saved_models(
        self,
        export_dir_base: str | os.PathLike[str],
        input_receiver_fn_map: Mapping[str, Callable[[], Any]],
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | os.PathLike[str] | None = None,
    ) -> bytes:
        """Writes a SavedModel with a graph for each of several modes, over one copy of the variables.

        Args:
          export_dir_base: see `export_saved_model`.
          input_receiver_fn_map: mode -> receiver function; the graphs have the tags "train", "eval" and "serve".
          assets_extra: see `export_saved_model`.
          as_text: see `export_saved_model`.
          checkpoint_path: see `export_saved_model`.

        Returns:
          The path of the new directory, as bytes.

        Raises:
          ValueError: if the map has no mode or an unknown one; and as `export_saved_model`.
        """
        checkpoint = _checkpoints.at(self._runtimes.setup.exported_path(checkpoint_path))
        return self._runtimes.export(
            ExportRequest(export_dir_base, input_receiver_fn_map, assets_extra, as_text, checkpoint)
        )

    def _adapt_input(self, input_fn: Any) -> Any:
        """Returns the input_fn to call in the place of the one that was given."""
        return input_fn

    def _trained_path(self) -> str:
        path = self.latest_checkpoint()
        if path is None:
            raise ValueError(f"Could not find trained model in model_dir: {self.model_dir}.")
        return path

    def _read_trained(self, read: Callable[[str], _T]) -> _T:
        """Returns what `read` finds in the newest checkpoint, or in the one before it if that is damaged."""
        path = self._trained_path()
        try:
            return read(path)
        except _checkpoints.UNREADABLE:
            intact = _checkpoints.newest_readable(self._directory)
            if intact is None or intact.path == path:
                raise
            return read(intact.path)

    def eval_dir(self, name: str | None = None) -> str:
        """Returns the directory to which `evaluate` with this `name` writes its results."""
        return self._runtimes.setup.eval_dir(name)

    def _check_writable(self) -> None:
        try:
            tf.io.gfile.makedirs(self.model_dir)
            if "://" not in self.model_dir and not os.access(self.model_dir, os.W_OK):
                raise PermissionError(f"no permission to write in {self.model_dir}")
        except (tf.errors.OpError, OSError) as error:
            raise ValueError(
                f"`model_dir` must be a directory that can be written. Received: {self.model_dir!r} ({error})."
            ) from error
        if self._config.is_chief:
            self._directory.clean()
