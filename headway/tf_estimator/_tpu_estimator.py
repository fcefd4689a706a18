"""`TPUEstimator` as it is without a TPU."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from headway._spec import EstimatorSpec, ModeKeys
from headway.estimators import _input
from headway.estimators._model import argument_names, check_model_fn
from headway.tf_estimator._tpu_config import InputPipelineConfig, RunConfig
from headway.tf_estimator._tpu_spec import TPUEstimatorSpec
from headway.tf_estimator._v1_estimator import Estimator

_BATCH_SIZE: Final = "batch_size"
_RESERVED: Final = (_BATCH_SIZE, "context")
_NO_TPU: Final = (
    "TPUEstimator runs on CPUs and GPUs only: `use_tpu` must be False. Received: {received!r}. For a TPU, give the "
    "model to a headway.Estimator with RunConfig(train_distribute=tf.distribute.TPUStrategy(resolver))."
)
_NO_PARAMS: Final = (
    "{kind} ({function}) does not include params argument, required by TPUEstimator to pass batch size as "
    "params['batch_size']. Its arguments are: {names}."
)


class TPUEstimator(Estimator):
    """An `Estimator` whose input_fn and model_fn find the batch size in `params["batch_size"]`.

    It is what tf.estimator's was with `use_tpu=False`: the model runs on CPUs, GPUs, or what strategy `config` has.

    Args:
      model_fn: `model_fn(features, labels, mode, params, config)`, of which it may leave out labels, mode and config.
        It returns a `TPUEstimatorSpec` or an `EstimatorSpec`, and finds `params["use_tpu"]` to be False.
      model_dir: see `headway.Estimator`.
      config: a `tpu.RunConfig`; it must be given.
      params: a dict, or an object with `add_hparam`, of what input_fn and model_fn want to know.
      use_tpu: must be False.
      train_batch_size: `params["batch_size"]` in training.
      eval_batch_size: `params["batch_size"]` in evaluation.
      predict_batch_size: `params["batch_size"]` in prediction.
      batch_axis: not used.
      eval_on_tpu: not used.
      export_to_tpu: not used.
      export_to_cpu: not used.
      warm_start_from: see `headway.Estimator`.
      embedding_config_spec: must be None.
      export_saved_model_api_version: not used.

    Raises:
      ValueError: if `use_tpu` is True, `config` is none or belongs to a TPU, `params` has a reserved name, or
        `model_fn` lacks an argument.

    Example:
      >>> from headway.tf_estimator import v1
      >>> def model_fn(features, labels, mode, params):
      ...     ...
      >>> estimator = v1.tpu.TPUEstimator(model_fn, config=v1.tpu.RunConfig(), use_tpu=False, train_batch_size=8)
    """

    def __init__(
        self,
        model_fn: Callable[..., Any] | None = None,
        model_dir: str | os.PathLike[str] | None = None,
        config: RunConfig | None = None,
        params: Any = None,
        use_tpu: bool = True,
        train_batch_size: int | None = None,
        eval_batch_size: int | None = None,
        predict_batch_size: int | None = None,
        batch_axis: Any = None,
        eval_on_tpu: bool = True,
        export_to_tpu: bool = True,
        export_to_cpu: bool = True,
        warm_start_from: Any = None,
        embedding_config_spec: Any = None,
        export_saved_model_api_version: Any = 1,
    ) -> None:
        del batch_axis, eval_on_tpu, export_to_tpu, export_to_cpu, export_saved_model_api_version
        if not isinstance(config, RunConfig):
            raise ValueError(f"`config` must be provided with type `tpu_config.RunConfig`. Received: {config!r}.")
        if use_tpu:
            raise ValueError(_NO_TPU.format(received=use_tpu))
        if params is not None and any(name in params for name in _RESERVED):
            raise ValueError(f"{list(_RESERVED)} are reserved keys but existed in params {params}.")
        _check_no_cluster(config, embedding_config_spec)
        check_model_fn(model_fn, params)
        assert model_fn is not None
        _check_takes_params("model_fn", model_fn)
        self._user_model_fn = model_fn
        self._batch_sizes = {
            ModeKeys.TRAIN: train_batch_size,
            ModeKeys.EVAL: eval_batch_size,
            ModeKeys.PREDICT: predict_batch_size,
        }
        self._exporting = False
        super().__init__(
            self._tpu_model_fn,
            model_dir=model_dir,
            config=config,
            params={} if params is None else params,
            warm_start_from=warm_start_from,
        )

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> TPUEstimator:
        """Trains; see `headway.Estimator.train`. `input_fn` must take `params`."""
        super().train(self._with_batch_size(input_fn, ModeKeys.TRAIN), hooks, steps, max_steps, saving_listeners)
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
        """Evaluates; see `headway.Estimator.evaluate`. `input_fn` must take `params`."""
        return super().evaluate(self._with_batch_size(input_fn, ModeKeys.EVAL), steps, hooks, checkpoint_path, name)

    def predict(
        self,
        input_fn: Callable[..., Any],
        predict_keys: Sequence[str] | str | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | os.PathLike[str] | None = None,
        yield_single_examples: bool = True,
    ) -> Iterator[Any]:
        """Predicts; see `headway.Estimator.predict`. `input_fn` must take `params`."""
        wrapped = self._with_batch_size(input_fn, ModeKeys.PREDICT)
        return super().predict(wrapped, predict_keys, hooks, checkpoint_path, yield_single_examples)

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
        """Exports; see `headway.Estimator.export_saved_model`. The model_fn finds no `params["batch_size"]`."""
        self._exporting = True
        try:
            return super().export_saved_model(
                export_dir_base,
                serving_input_receiver_fn,
                assets_extra,
                as_text,
                checkpoint_path,
                experimental_mode,
                example=example,
            )
        finally:
            self._exporting = False

    def experimental_export_all_saved_models(
        self,
        export_dir_base: str | os.PathLike[str],
        input_receiver_fn_map: Mapping[str, Callable[[], Any]],
        assets_extra: Mapping[str, str] | None = None,
        as_text: bool = False,
        checkpoint_path: str | os.PathLike[str] | None = None,
    ) -> bytes:
        """Exports; see `headway.Estimator.experimental_export_all_saved_models`."""
        self._exporting = True
        try:
            return super().experimental_export_all_saved_models(
                export_dir_base, input_receiver_fn_map, assets_extra, as_text, checkpoint_path
            )
        finally:
            self._exporting = False

    def _tpu_model_fn(self, features: Any, labels: Any, mode: str, params: Any, config: Any) -> EstimatorSpec:
        names = argument_names(self._user_model_fn)
        if "labels" not in names and labels is not None:
            raise ValueError(
                "model_fn does not take labels, but input_fn returns labels. Add a `labels` argument, or let input_fn "
                "return features only."
            )
        params = copy.deepcopy(params)
        if not self._exporting:
            _set(params, "use_tpu", False)
            _set(params, _BATCH_SIZE, self._batch_sizes[mode])
        given = {"labels": labels, "mode": mode, "params": params, "config": config}
        spec = self._user_model_fn(features=features, **{name: given[name] for name in given if name in names})
        return spec.as_estimator_spec() if isinstance(spec, TPUEstimatorSpec) else spec

    def _with_batch_size(self, input_fn: Any, mode: str) -> Callable[..., Any]:
        _input.check_input_fn(input_fn)
        _check_takes_params("input_fn", input_fn)
        names = argument_names(input_fn)

        def with_batch_size(mode: str, params: Any, config: Any, input_context: Any) -> Any:
            params = copy.deepcopy(params)
            _set(params, _BATCH_SIZE, self._batch_sizes[mode])
            given = {"mode": mode, "params": params, "config": config, "input_context": input_context}
            return input_fn(**{name: given[name] for name in given if name in names})

        return with_batch_size


def _set(params: Any, name: str, value: Any) -> None:
    """Sets an entry of a dict, or of an object of the kind of HParams; None leaves it out."""
    if value is None:
        return
    if not hasattr(params, "set_hparam"):
        params[name] = value
    elif name in params:
        params.set_hparam(name, value)
    else:
        params.add_hparam(name, value)


def _check_takes_params(kind: str, function: Any) -> None:
    names = argument_names(function)
    if "params" not in names:
        raise ValueError(_NO_PARAMS.format(kind=kind, function=function, names=list(names)))


def _check_no_cluster(config: RunConfig, embedding_config_spec: Any) -> None:
    if config.cluster is not None:
        raise ValueError(
            "TPUEstimator runs on the CPUs and GPUs of this machine: RunConfig(cluster=...) must be None. For a TPU, "
            "give the model to a headway.Estimator with RunConfig(train_distribute=tf.distribute.TPUStrategy(...)). "
            f"Received: {config.cluster!r}."
        )
    if embedding_config_spec is not None:
        raise ValueError(
            "`embedding_config_spec` must be None: there are no TPU embeddings. Use embedding columns; "
            "tf.distribute.ParameterServerStrategy splits large tables over machines."
        )
    if config.tpu_config.eval_training_input_configuration == InputPipelineConfig.SLICED:
        raise ValueError(
            "Invalid TPUConfig `eval_training_input_configuration` value. SLICED mode only works on use_tpu = True. "
            "Leave it out."
        )
