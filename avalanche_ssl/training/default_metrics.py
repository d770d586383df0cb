"""What Avalanche's loggers get without metrics of the user: loss and learning rate, and what CSVLogger reads."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from avalanche.evaluation import PluginMetric
from avalanche.evaluation.metric_results import MetricValue
from avalanche.evaluation.metric_utils import get_metric_name
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.logging import CSVLogger, InteractiveLogger, TextLogger
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.plugins.evaluation import default_evaluator

from avalanche_ssl.errors import UsageError


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
        n = strategy.n_images
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

    One with a CSVLogger gets what its columns show: accuracy and loss of the probe in evaluation.

    Args:
        evaluator: as the user gave it. None logs nothing, without the warning that nothing will be logged. Avalanche's
            `default_evaluator` becomes one without the training accuracy, which needs labels.

    Raises:
        UsageError: it is something else.
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
    found: Any = evaluator
    if not isinstance(found, EvaluationPlugin):
        raise UsageError(
            f"evaluator is a {type(found).__name__}: give EvaluationPlugin(*metrics, loggers=[InteractiveLogger()])"
        )
    if found.loggers:
        more: list[Any] = [EpochLoss(), EpochLearningRate()]
        for logger in found.loggers:
            if isinstance(logger, CSVLogger):
                more += [*accuracy_metrics(experience=True), *loss_metrics(experience=True)]
                logger._val_to_str = partial(_cell, logger)
        for metric in more:
            if str(metric) not in map(str, found.metrics):
                found.metrics.append(metric)
    return found


def _cell(logger: CSVLogger, value: Any) -> str:
    """A value as CSVLogger writes it; nothing where nothing was measured, for which it writes the whole number 0."""
    return "" if isinstance(value, int) and value == 0 else str(type(logger)._val_to_str(logger, value))


def print_pending_metrics(evaluator: EvaluationPlugin) -> None:
    """Let loggers of text print what came after the last epoch; they would wait for the next epoch or evaluation."""
    for logger in evaluator.loggers:
        if isinstance(logger, TextLogger) and logger.metric_vals:
            logger.print_current_metrics()
            logger.metric_vals = {}
