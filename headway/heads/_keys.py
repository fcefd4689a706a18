"""The names under which heads report metrics and predictions, and under which models are served."""

from __future__ import annotations


class MetricKeys:
    """Keys of the metrics; those with `%` are completed by a number, or by the id or name of a class."""

    AVERAGE_LOSS = "average_loss"
    REGULARIZATION_LOSS = "regularization_loss"
    LOSS = "loss"
    ACCURACY = "accuracy"
    ACCURACY_BASELINE = "accuracy_baseline"
    PRECISION = "precision"
    RECALL = "recall"
    AUC = "auc"
    AUC_PRECISION_RECALL = "auc_precision_recall"
    LABEL_MEAN = "label/mean"
    PREDICTION_MEAN = "prediction/mean"
    ACCURACY_AT_THRESHOLD = "accuracy/positive_threshold_%g"
    PRECISION_AT_THRESHOLD = "precision/positive_threshold_%g"
    RECALL_AT_THRESHOLD = "recall/positive_threshold_%g"
    PROBABILITY_MEAN_AT_CLASS = "probability_mean/class%d"
    AUC_AT_CLASS = "auc/class%d"
    AUC_PRECISION_RECALL_AT_CLASS = "auc_precision_recall/class%d"
    PROBABILITY_MEAN_AT_NAME = "probability_mean/%s"
    AUC_AT_NAME = "auc/%s"
    AUC_PRECISION_RECALL_AT_NAME = "auc_precision_recall/%s"
    PINBALL_LOSS_AT_QUANTILE = "pinball_loss/quantile_%g"
    COVERAGE_AT_QUANTILE = "coverage/quantile_%g"
    MRR = "mrr"
    NDCG = "ndcg"
    NDCG_AT_K = "ndcg@%d"


class PredictionKeys:
    """Keys of the predictions."""

    LOGITS = "logits"
    LOGISTIC = "logistic"
    PROBABILITIES = "probabilities"
    PREDICTIONS = "predictions"
    CLASS_IDS = "class_ids"
    CLASSES = "classes"
    ALL_CLASS_IDS = "all_class_ids"
    ALL_CLASSES = "all_classes"


class ServingKeys:
    """Keys of the export outputs, which become the signatures of a SavedModel."""

    DEFAULT = "serving_default"
    CLASSIFY = "classification"
    REGRESS = "regression"
    PREDICT = "predict"
