"""Loss and learning rate of each epoch, for Avalanche's loggers."""

import warnings
from collections.abc import Callable
from typing import Any

from avalanche.evaluation import PluginMetric
from avalanche.evaluation.metric_results import MetricValue
from avalanche.evaluation.metric_utils import get_metric_name
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.logging import InteractiveLogger
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.plugins.evaluation import default_evaluator


class EpochMean(PluginMetric):  # type: ignore[misc]
    """Mean of a value over the images of an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Start an epoch."""
        self._sum: Any = 0.0
        self._images = 0

    def value(self, strategy: Any) -> Any:
        """The value of a step: a number, or a tensor that is not read before the epoch ends."""
        raise NotImplementedError

    def before_training_epoch(self, strategy: Any) -> None:
        """Start an epoch."""
        self.reset()

    def after_training_iteration(self, strategy: Any) -> None:
        """Add a step, unless it was skipped."""
        if strategy.nonfinite_guard.skipping:
            return
        n = len(strategy.mb_x)
        self._sum = self._sum + self.value(strategy) * n
        self._images += n

    def after_training_epoch(self, strategy: Any) -> list[MetricValue]:
        """The mean; nothing if the epoch had no step."""
        if not self._images:
            return []
        name = get_metric_name(self, strategy, add_experience=False, add_task=True)
        return [MetricValue(self, name, self.result(), strategy.clock.train_iterations)]

    def result(self) -> float:
        """The mean so far."""
        return float(self._sum) / max(self._images, 1)


class EpochLoss(EpochMean):
    """The mean loss of an epoch, by the name of Avalanche's own, whose value it has; it never waits for the device."""

    def value(self, strategy: Any) -> Any:
        """The loss of the step, with what plugins added."""
        return strategy.loss.detach().mean()

    def __str__(self) -> str:
        return "Loss_Epoch"


class EpochLearningRate(EpochMean):
    """The mean learning rate of an epoch, of the optimizer's first group."""

    def value(self, strategy: Any) -> Any:
        """The rate of the step."""
        return strategy.optimizer.param_groups[0]["lr"]

    def __str__(self) -> str:
        return "LearningRate_Epoch"


def complete_evaluator(evaluator: EvaluationPlugin | Callable[[], EvaluationPlugin] | None) -> EvaluationPlugin:
    """The evaluator of a strategy: one with loggers gets the loss and the learning rate, unless it has them.

    Args:
        evaluator: as the user gave it. None logs nothing, without the warning that nothing will be logged. Avalanche's
            `default_evaluator` becomes one without the training accuracy, which needs labels.
    """
    if evaluator is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return EvaluationPlugin()
    if evaluator is default_evaluator:
        evaluator = EvaluationPlugin(
            accuracy_metrics(experience=True, stream=True),
            loss_metrics(experience=True, stream=True),
            loggers=[InteractiveLogger()],
        )
    elif callable(evaluator):
        evaluator = evaluator()
    if evaluator.loggers:
        names = {str(metric) for metric in evaluator.metrics}
        evaluator.metrics += [metric for metric in (EpochLoss(), EpochLearningRate()) if str(metric) not in names]
    return evaluator
