"""Checks that refuse, before any training, what cannot work with a method."""

import warnings
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
from avalanche_ssl.memory import MemoryBank
from avalanche_ssl.methods import Method

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
"""Avalanche's plugins that read class logits, single tensors or labeled heads, which a method does not have."""

TRAIN_ACCURACIES = (MinibatchAccuracy, EpochAccuracy, RunningEpochAccuracy)
"""Avalanche's metrics that score class logits during training."""


def check_model(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuse a model that is no method, and an optimizer that lacks some of its trainable parameters."""
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
    """Refuse labels that a method reads and has no class for."""
    if model.num_classes_read:
        labels = np.asarray(dataset.targets)
        wrong = labels[(labels < 0) | (labels >= model.num_classes_read)]
        if len(wrong):
            raise UsageError(
                f"{type(model).__name__} reads labels 0 to {model.num_classes_read - 1}, and the experience has "
                f"{int(wrong[0])}: give it more classes (--set classes=...), or a labeled stream"
            )


def check_boundaries(model: Method, experience: Any) -> None:
    """Refuse mini-batches of a stream for a method that requires full experiences."""
    if model.requires_full_experience and isinstance(experience, OnlineCLExperience):
        settings = ", ".join(f"{name}={value!r}" for name, value in model.online_defaults.items())
        raise UsageError(
            f"{type(model).__name__} reads a full experience before each epoch, and this one is a mini-batch of a "
            f"stream: give it {settings or 'full experiences'}"
        )


def check_plugins(plugins: Sequence[Any]) -> None:
    """Refuse plugins that read class logits or set the learning rate."""
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
    """Refuse metrics that score class logits during training."""
    for metric in evaluator.metrics:
        if isinstance(metric, TRAIN_ACCURACIES):
            raise UsageError(
                f"{type(metric).__name__} needs class logits during training, which are not defined without labels: "
                "use accuracy_metrics(experience=True, stream=True), which score the probe"
            )


def count_bank_hits(model: nn.Module) -> int | None:
    """How often the memory banks of a method have recognized an image so far; None if it has no bank."""
    banks = [m for m in model.modules() if isinstance(m, MemoryBank)]
    return sum(int(bank.n_hits) for bank in banks) if banks else None


def warn_if_unrecognized(model: nn.Module, hits: int | None) -> None:
    """Warn after a repeated epoch in which the memory banks recognized no image.

    Args:
        model: the method.
        hits: `count_bank_hits` before the epoch; None does not warn.
    """
    if hits is not None and count_bank_hits(model) == hits:
        warnings.warn(
            "no image of a repeated epoch was recognized by the memory bank: the stream's images change "
            "from epoch to epoch (pass raw images and leave augmentation to the method), or its experience "
            "is larger than the bank (raise its capacity)",
            stacklevel=2,
        )
