"""Avalanche's metrics that cannot work with a method, each with the reason and what to use instead."""

from typing import Any

from avalanche.evaluation import Metric, PluginMetric
from avalanche.evaluation.metrics import (
    GenericExperienceForwardTransfer,
    GenericStreamForwardTransfer,
    MeanScoresTrainPluginMetric,
)
from avalanche.evaluation.metrics.accuracy import AccuracyPerTaskPluginMetric, AccuracyPluginMetric
from avalanche.evaluation.metrics.class_accuracy import ClassAccuracyPluginMetric
from avalanche.evaluation.metrics.mac import MACPluginMetric
from avalanche.evaluation.metrics.topk_acc import TopkAccuracyPluginMetric
from avalanche.training.plugins import EvaluationPlugin

from avalanche_ssl.errors import UsageError

IN_EVALUATION: dict[type, str] = {
    AccuracyPluginMetric: "accuracy_metrics(experience=True, stream=True)",
    AccuracyPerTaskPluginMetric: "accuracy_metrics(experience=True, stream=True)",
    ClassAccuracyPluginMetric: "class_accuracy_metrics(experience=True, stream=True)",
    TopkAccuracyPluginMetric: "topk_acc_metrics(top_k=..., experience=True, stream=True)",
    MeanScoresTrainPluginMetric: "mean_scores_metrics(on_train=False)",
}
"""Avalanche's metrics that score class logits, and how to get them for the logits of the probe, in evaluation."""

FORWARD_TRANSFER = (GenericExperienceForwardTransfer, GenericStreamForwardTransfer)


def check_metrics(evaluator: EvaluationPlugin, eval_every: int) -> None:
    """Refuse metrics that cannot work with a method.

    Args:
        evaluator: holds the metrics.
        eval_every: of the strategy.

    Raises:
        UsageError: the first such metric, why, and what to use.
    """
    for metric in evaluator.metrics:
        reason = _reason(metric, eval_every)
        if reason is not None:
            raise UsageError(f"{type(metric).__name__} {reason}")


def _reason(metric: Any, eval_every: int) -> str | None:
    """Why a metric cannot work, and the remedy; None if it can."""
    if isinstance(metric, MACPluginMetric):
        return (
            "passes a single image through the method, which changes the training: "
            "count once, with MAC().update(model.encoder, images[:1])"
        )
    if isinstance(metric, FORWARD_TRANSFER) and eval_every < 0:
        return "needs an evaluation before training: give eval_every=0 and train(..., eval_streams=[...])"
    if Metric in type(metric).__mro__ and not isinstance(metric, PluginMetric):
        return "is a standalone metric, which an evaluator never updates: use Avalanche's function, ..._metrics(...)"
    if getattr(metric, "_mode", "train") == "train":
        for kind, remedy in IN_EVALUATION.items():
            if isinstance(metric, kind):
                return f"needs class logits, which training has none of: use {remedy}, which score the probe"
    return None
