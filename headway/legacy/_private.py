"""The modules of the package tensorflow_estimator, which libraries import by their paths."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from headway.legacy import _given
from headway.legacy._modules import BorrowedModule

PACKAGE = "tensorflow_estimator.python.estimator"
_OWN = "headway.legacy._private_names"
_CANNED = "Classifier {0}ClassifierV2 {0}Estimator {0}EstimatorV2 {0}Regressor {0}RegressorV2 ModeKeys"


def _models(kind: str, more: str = "") -> str:
    return f"{kind}{_CANNED.format(kind)} {more}"


# The names of each module that mean something outside of it. One that ends in V2 or _v2 is tf.estimator's of that name,
# any other is that of tf.compat.v1.estimator.
MODULES = {
    "": "",
    "canned": "",
    "canned.baseline": _models("Baseline"),
    "canned.dnn": _models("DNN", "dnn_logit_fn_builder"),
    "canned.dnn_linear_combined": _models("DNNLinearCombined"),
    "canned.head": "ModeKeys LossSpec _Head _binary_logistic_head_with_sigmoid_cross_entropy_loss "
    "_binary_logistic_or_multi_class_head _multi_class_head_with_softmax_cross_entropy_loss _regression_head",
    "canned.kmeans": "KMeansClustering",
    "canned.linear": _models("Linear", "LinearSDCA linear_logit_fn_builder"),
    "canned.metric_keys": "MetricKeys",
    "canned.optimizers": "get_optimizer_instance get_optimizer_instance_v2",
    "canned.parsing_utils": "classifier_parse_example_spec classifier_parse_example_spec_v2 "
    "regressor_parse_example_spec regressor_parse_example_spec_v2",
    "canned.prediction_keys": "PredictionKeys",
    "canned.rnn": "RNNClassifier RNNEstimator",
    "early_stopping": "make_early_stopping_hook read_eval_metrics stop_if_higher_hook stop_if_lower_hook "
    "stop_if_no_decrease_hook stop_if_no_increase_hook",
    "estimator": "Estimator EstimatorV2 ModeKeys VocabInfo WarmStartSettings",
    "estimator_lib": "BaselineClassifier BaselineEstimator BaselineRegressor BinaryClassHead DNNClassifier "
    "DNNEstimator DNNLinearCombinedClassifier DNNLinearCombinedEstimator DNNLinearCombinedRegressor DNNRegressor "
    "Estimator EstimatorSpec EvalSpec Exporter FinalExporter Head KMeansClustering LatestExporter LinearClassifier "
    "LinearEstimator LinearRegressor LogisticRegressionHead ModeKeys MultiClassHead MultiHead MultiLabelHead "
    "PoissonRegressionHead RNNClassifier RNNEstimator RegressionHead RunConfig TPUEstimator TrainSpec VocabInfo "
    "WarmStartSettings add_metrics call_logit_fn classifier_parse_example_spec dnn_logit_fn_builder "
    "linear_logit_fn_builder make_early_stopping_hook regressor_parse_example_spec stop_if_higher_hook "
    "stop_if_lower_hook stop_if_no_decrease_hook stop_if_no_increase_hook train_and_evaluate",
    "export": "",
    "export.export": "ServingInputReceiver SupervisedInputReceiver TensorServingInputReceiver "
    "UnsupervisedInputReceiver build_parsing_serving_input_receiver_fn build_raw_serving_input_receiver_fn "
    "build_raw_supervised_input_receiver_fn build_supervised_input_receiver_fn_from_input_fn",
    "export.export_lib": "ClassificationOutput EvalOutput ExportOutput PredictOutput RegressionOutput "
    "ServingInputReceiver TensorServingInputReceiver build_parsing_serving_input_receiver_fn "
    "build_raw_serving_input_receiver_fn build_raw_supervised_input_receiver_fn",
    "export.export_output": "ClassificationOutput EvalOutput ExportOutput PredictOutput RegressionOutput",
    "exporter": "BestExporter Exporter FinalExporter LatestExporter",
    "extenders": "ModeKeys add_metrics",
    "gc": "Path _get_paths _largest_export_versions _mod_export_version _negation _one_of_every_n_export_versions "
    "_union",
    "head": "",
    "head.base_head": "Head",
    "head.binary_class_head": "BinaryClassHead ModeKeys",
    "head.head_utils": "binary_or_multi_class_head",
    "head.multi_class_head": "ModeKeys MultiClassHead",
    "head.multi_head": "ModeKeys MultiHead",
    "head.multi_label_head": "ModeKeys MultiLabelHead",
    "head.regression_head": "LogisticRegressionHead ModeKeys PoissonRegressionHead RegressionHead",
    "head.sequential_head": "ModeKeys SequentialHeadWrapper",
    "hooks": "",
    "hooks.basic_session_run_hooks": "CheckpointSaverHook CheckpointSaverListener FeedFnHook FinalOpsHook "
    "GlobalStepWaiterHook LoggingTensorHook NanLossDuringTrainingError NanTensorHook ProfilerHook SecondOrStepTimer "
    "StepCounterHook StopAtStepHook SummarySaverHook",
    "hooks.hooks": "InMemoryEvaluatorHook make_stop_at_checkpoint_step_hook",
    "hooks.session_run_hook": "SessionRunArgs SessionRunContext SessionRunHook SessionRunValues",
    "inputs": "",
    "inputs.inputs": "numpy_input_fn pandas_input_fn",
    "inputs.numpy_io": "numpy_input_fn",
    "inputs.pandas_io": "pandas_input_fn",
    "keras_lib": "ModeKeys model_to_estimator",
    "mode_keys": "ModeKeys",
    "model_fn": "AVERAGE_LOSS_METRIC_KEY EstimatorSpec LOSS_METRIC_KEY ModeKeys call_logit_fn",
    "run_config": "RunConfig TaskType",
    "tpu": "",
    "tpu.tpu_config": "InputPipelineConfig RunConfig TPUConfig",
    "tpu.tpu_estimator": "TPUEstimator TPUEstimatorSpec",
    "training": "EvalSpec TrainSpec train_and_evaluate",
    "util": "parse_input_fn_result parse_iterator_result",
}
_RENAMED = {"KMeansClustering": "KMeans"}


def modules(package: str = PACKAGE) -> list[BorrowedModule]:
    """Returns the modules of the package, by default with the packages around it, to be imported under `package`."""
    found = [_module(package, path) for path in MODULES]
    if package != PACKAGE:
        return found
    both = {"estimator": "tf.compat.v1.estimator"}
    v1, v2 = "tf.compat.v1.estimator", "tf.estimator"
    found += [_folder("tensorflow_estimator", both), _folder("tensorflow_estimator.python", {})]
    for api in ("tensorflow_estimator._api", f"{PACKAGE}.api"):
        prefix = "_" if api.endswith(".api") else ""
        found.append(_folder(api, {}))
        for version, path in (("v1", v1), ("v2", v2)):
            name = f"{api}.{prefix}{version}"
            found += [_folder(name, {"estimator": path}), borrowed(f"{name}.estimator", path)]
            found += [borrowed(f"{name}.estimator.{folder}", path, folder) for folder in _given.FACE_FOLDERS]
    return found


def borrowed(name: str, path: str, folder: str = "") -> BorrowedModule:
    """Returns the module `name` that shows what headway has of tf.estimator, or of a folder in it."""
    find = functools.partial(_given.face, path, folder)
    return BorrowedModule(name, lambda attribute: getattr(find(), attribute), lambda: _given.public_names(find()))


def _folder(name: str, faces: dict[str, str]) -> BorrowedModule:
    def find(attribute: str) -> Any:
        if attribute in faces:
            return _given.face(faces[attribute])
        return _submodule(name, attribute)

    return BorrowedModule(name, find, lambda: list(faces))


def _module(package: str, path: str) -> BorrowedModule:
    name = f"{package}.{path}".rstrip(".")
    own = MODULES[path].split()

    def find(attribute: str) -> Any:
        return find_name(attribute) if attribute in own else _submodule(name, attribute)

    return BorrowedModule(name, find, lambda: own)


def _submodule(parent: str, name: str) -> Any:
    try:
        return importlib.import_module(f"{parent}.{name}")
    except ModuleNotFoundError:
        raise AttributeError(
            f"headway has nothing for {parent}.{name}, which tensorflow_estimator did not document. "
            "`headway check` lists what it has for a program."
        ) from None


def find_name(name: str) -> Any:
    """Returns what stands for a name of a module of tensorflow_estimator."""
    own: Any = importlib.import_module(_OWN)
    if hasattr(own, name):
        return getattr(own, name)
    plain = name.removesuffix("V2").removesuffix("_v2")
    faces = [_given.face("tf.estimator"), _given.face("tf.compat.v1.estimator")]
    for face in faces if plain != name else faces[::-1]:
        for place in (face, *(getattr(face, folder, None) for folder in ("experimental", "export", "inputs", "tpu"))):
            for candidate in (plain, _RENAMED.get(plain, plain)):
                if hasattr(place, candidate):
                    return getattr(place, candidate)
    raise AttributeError(f"headway has nothing for {name} of tensorflow_estimator.")
