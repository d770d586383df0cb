"""Avalanche's supervised template, with what its users bring checked before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates.base_sgd import BaseSGDTemplate
from avalanche.training.templates.observation_type import BatchObservation
from avalanche.training.templates.problem_type import SupervisedProblem
from avalanche.training.templates.update_type import SGDUpdate

from avalanche_ssl.training.compatibility import check_arguments
from avalanche_ssl.training.default_metrics import complete_evaluator
from avalanche_ssl.training.metric_checks import check_metrics
from avalanche_ssl.training.plugin_checks import check_early_stopping, check_early_stopping_streams, check_plugins
from avalanche_ssl.training.raw_experience import trigger_plugins

if TYPE_CHECKING:
    from typing_extensions import Self


class AvalancheTemplate(
    BatchObservation,  # type: ignore[misc]
    SupervisedProblem,  # type: ignore[misc]
    SGDUpdate,  # type: ignore[misc]
    BaseSGDTemplate,  # type: ignore[misc]
):
    """Avalanche's loop over experiences, for methods without class logits.

    Args:
        settings: as for Avalanche's `BaseSGDTemplate`, without a criterion; `evaluator` as `complete_evaluator` takes
            it.

    Raises:
        UsageError: a criterion, or a plugin or metric that cannot work.
    """

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Refuse a criterion before Avalanche takes it for the next argument."""
        check_arguments(cls.__name__, args, settings)
        made: Self = super().__new__(cls)
        return made

    def __init__(self, **settings: Any) -> None:
        check_plugins(settings.get("plugins") or ())
        settings["evaluator"] = complete_evaluator(settings.get("evaluator"))
        # Named instead of super(): before Python 3.11 the protocols among the bases swallow the arguments.
        BaseSGDTemplate.__init__(self, **settings)
        for plugin in self.plugins:
            if isinstance(plugin, EvaluationPlugin):
                check_metrics(plugin, self.eval_every)
        check_early_stopping(self.plugins, self.evaluator, self.eval_every)

    def _check_distributed_training_compatibility(self) -> bool:
        """Every plugin works in several processes that `several_processes` does not refuse; Avalanche would warn."""
        return True

    def _before_training(self, **kwargs: Any) -> None:
        check_early_stopping_streams(self.plugins, self._eval_streams)
        super()._before_training(**kwargs)

    def _after_training_exp(self, **kwargs: Any) -> None:
        trigger_plugins(self, "after_training_exp", **kwargs)
