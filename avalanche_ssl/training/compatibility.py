"""What of Avalanche, and of the user's own, cannot work with a method? Refused before any training, in one line."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import OnlineCLExperience
from avalanche.evaluation.metrics.accuracy import EpochAccuracy, MinibatchAccuracy, RunningEpochAccuracy
from avalanche.training import plugins as avalanche_plugins
from avalanche.training.plugins import EvaluationPlugin, LRSchedulerPlugin
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods.base import Method

NEEDS_LOGITS = (
    avalanche_plugins.BiCPlugin,
    avalanche_plugins.CoPEPlugin,
    avalanche_plugins.CWRStarPlugin,
    avalanche_plugins.FeatureDistillationPlugin,
    avalanche_plugins.GenerativeReplayPlugin,
    avalanche_plugins.GSS_greedyPlugin,
    avalanche_plugins.LFLPlugin,
    avalanche_plugins.LwFPlugin,
    avalanche_plugins.MASPlugin,
    avalanche_plugins.MIRPlugin,
    avalanche_plugins.RARPlugin,
)
"""Avalanche's plugins that read class logits, single tensors or labelled heads, which a method does not have."""

TRAIN_ACCURACIES = (MinibatchAccuracy, EpochAccuracy, RunningEpochAccuracy)
"""Avalanche's metrics that score class logits while training."""


def check_model(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The model is a method, and the optimiser holds all that it trains."""
    if not isinstance(model, Method):
        raise UsageError(
            f"the model is a {type(model).__name__}, not a Method: wrap the network in one, e.g. SimCLR(encoder)"
        )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if missing:
        raise UsageError(
            f"the optimizer holds no {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}: "
            "give it all model.parameters(), in as many groups as you like"
        )


def check_labels(model: Method, dataset: Any) -> None:
    """A method that reads labels needs some, and classes for them all."""
    if model.num_classes_read:
        labels = np.asarray(dataset.targets)
        wrong = labels[(labels < 0) | (labels >= model.num_classes_read)]
        if len(wrong):
            raise UsageError(
                f"{type(model).__name__} reads labels 0 to {model.num_classes_read - 1}, and the experience has "
                f"{int(wrong[0])}: give it more classes (--set classes=...), or a stream that is labelled"
            )


def check_boundaries(model: Method, experience: Any) -> None:
    """A method that must look at whole experiences is not given mini-batches."""
    if model.requires_full_experience and isinstance(experience, OnlineCLExperience):
        settings = ", ".join(f"{name}={value!r}" for name, value in model.online_defaults.items())
        raise UsageError(
            f"{type(model).__name__} looks at a whole experience before each epoch, and this one is a mini-batch of a "
            f"stream: give it {settings or 'whole experiences'}"
        )


def check_plugins(plugins: Sequence[Any]) -> None:
    """No plugin reads class logits or sets the learning rate."""
    for plugin in plugins:
        if isinstance(plugin, LRSchedulerPlugin):
            raise UsageError(
                "LRSchedulerPlugin would be overruled by the strategy's schedule: give schedule=LRSchedule(...)"
            )
        if isinstance(plugin, NEEDS_LOGITS):
            raise UsageError(
                f"{type(plugin).__name__} needs class logits, which a self-supervised method does not have: "
                "use ReplayPlugin, EWCPlugin, SynapticIntelligencePlugin or AGEMPlugin"
            )


def check_metrics(evaluator: EvaluationPlugin) -> None:
    """No metric scores class logits while training."""
    for metric in evaluator.metrics:
        if isinstance(metric, TRAIN_ACCURACIES):
            raise UsageError(
                f"{type(metric).__name__} needs class logits while training, which are not defined without labels: "
                "use accuracy_metrics(experience=True, stream=True), which score the probe"
            )
