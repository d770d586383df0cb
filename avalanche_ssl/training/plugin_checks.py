"""Avalanche's plugins that cannot work with a method, each with the reason and what to use instead."""

from collections.abc import Iterable, Sequence
from typing import Any

from avalanche.training import plugins as avalanche_plugins
from avalanche.training.plugins import EarlyStoppingPlugin, EvaluationPlugin, GEMPlugin, gem

from avalanche_ssl.errors import UsageError

_LOGITS = (
    "needs class logits, which a self-supervised method does not have: "
    "use ReplayPlugin, EWCPlugin, SynapticIntelligencePlugin or AGEMPlugin"
)
_CLASSIFIER = (
    'needs a model with a classifier of class means, which a method is not: use ProbePlugin(benchmark, probes=["ncm"])'
)

REFUSED: dict[type, str] = {
    avalanche_plugins.BiCPlugin: _LOGITS,
    avalanche_plugins.CoPEPlugin: _LOGITS,
    avalanche_plugins.CWRStarPlugin: _LOGITS,
    avalanche_plugins.FeatureDistillationPlugin: _LOGITS,
    avalanche_plugins.GenerativeReplayPlugin: _LOGITS,
    avalanche_plugins.TrainGeneratorAfterExpPlugin: _LOGITS,
    avalanche_plugins.GSS_greedyPlugin: _LOGITS,
    avalanche_plugins.LFLPlugin: _LOGITS,
    avalanche_plugins.LwFPlugin: _LOGITS,
    avalanche_plugins.MASPlugin: _LOGITS,
    avalanche_plugins.MIRPlugin: _LOGITS,
    avalanche_plugins.RARPlugin: _LOGITS,
    avalanche_plugins.CurrentDataFeCAMUpdate: _CLASSIFIER,
    avalanche_plugins.CurrentDataNCMUpdate: _CLASSIFIER,
    avalanche_plugins.FeCAMOracle: _CLASSIFIER,
    avalanche_plugins.MemoryFeCAMUpdate: _CLASSIFIER,
    avalanche_plugins.MemoryNCMUpdate: _CLASSIFIER,
    avalanche_plugins.NCMOracle: _CLASSIFIER,
    avalanche_plugins.RWalkPlugin: (
        "leaves the model in eval mode, so that batch-norm statistics would stand still: "
        "use SynapticIntelligencePlugin, or EWCPlugin"
    ),
    avalanche_plugins.GDumbPlugin: (
        "replaces the model by a copy, whose parameters the optimizer does not hold: use ReplayPlugin, or make a new "
        "strategy for each experience"
    ),
    avalanche_plugins.FromScratchTrainingPlugin: (
        "resets parameters and leaves queues, memory banks and batch-norm statistics: make a new strategy for each "
        "experience"
    ),
    avalanche_plugins.LRSchedulerPlugin: (
        "would be overruled by the strategy's schedule: give schedule=LRSchedule(...)"
    ),
}
"""Avalanche's plugins that cannot work, with the reason and the remedy."""


def check_plugins(plugins: Sequence[Any]) -> None:
    """Refuse plugins that cannot work with a method, classes in the place of plugins, and GEM without its solver."""
    for plugin in plugins:
        if isinstance(plugin, type):
            raise UsageError(
                f"plugins has the class {plugin.__name__}: give an object, plugins=[{plugin.__name__}(...)]"
            )
        reason = next((reason for kind, reason in REFUSED.items() if isinstance(plugin, kind)), None)
        if reason is not None:
            raise UsageError(f"{type(plugin).__name__} {reason}")
        if isinstance(plugin, GEMPlugin) and "quadprog" not in gem.qpsolvers.available_solvers:
            raise UsageError(f"{type(plugin).__name__} needs a solver: pip install quadprog")


def check_early_stopping(plugins: Iterable[Any], evaluator: EvaluationPlugin, eval_every: int) -> None:
    """Refuse early stopping by a metric that is never computed, or not while an experience is trained on."""
    for plugin in plugins:
        if not isinstance(plugin, EarlyStoppingPlugin):
            continue
        if plugin.metric_name not in {str(metric) for metric in evaluator.metrics}:
            remedy = (
                "accuracy_metrics(stream=True), which scores the probe,"
                if "Acc" in plugin.metric_name
                else "its metric"
            )
            raise UsageError(
                f"EarlyStoppingPlugin waits for {plugin.metric_name}, which no metric of the evaluator gives: add "
                f"{remedy} to the evaluator"
            )
        if eval_every < 1:
            raise UsageError(
                f"EarlyStoppingPlugin waits for {plugin.metric_name} during training, and eval_every={eval_every} "
                "gives none: give eval_every=1"
            )


def check_early_stopping_streams(plugins: Iterable[Any], streams: Sequence[Sequence[Any]]) -> None:
    """Refuse early stopping on a stream that `train` does not evaluate on.

    Args:
        plugins: of the strategy.
        streams: experiences to evaluate on, by stream.
    """
    for plugin in plugins:
        if isinstance(plugin, EarlyStoppingPlugin):
            watched = plugin.val_stream_name
            names = [f"{stream[0].origin_stream.name}_stream" for stream in streams]
            if not any(name.startswith(watched) or watched.startswith(name) for name in names):
                raise UsageError(
                    f"EarlyStoppingPlugin watches {watched!r}, and train() evaluates on {', '.join(names) or 'nothing'}"
                    ": give train(..., eval_streams=[...]) that stream, or the plugin its name"
                )
