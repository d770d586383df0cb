"""Checks that refuse, before any training, models, arguments and data that cannot work."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from avalanche.benchmarks import OnlineCLExperience
from torch import nn

from avalanche_ssl.data import class_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import MemoryBank
from avalanche_ssl.methods import Method


def check_arguments(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse a criterion, which Avalanche's strategies have, in Avalanche's place for it or by name.

    Args:
        name: of the strategy's class.
        args: positional arguments: the model, the optimizer and, in Avalanche's order, the criterion.
        kwargs: named arguments.
    """
    third = args[2] if len(args) > 2 else kwargs.get("criterion")
    if third is not None and not isinstance(third, int):
        given = type(third).__name__ if isinstance(third, nn.Module) else repr(third)
        raise UsageError(
            f"{name} takes no criterion ({given}): the loss comes with the method; leave it out and name the "
            f"arguments: {name}(model=..., optimizer=..., train_mb_size=...)"
        )


def check_model(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Refuse a model that is no method, and an optimizer that lacks some of its trainable parameters."""
    if not isinstance(model, Method):
        raise UsageError(
            f"the model is a {type(model).__name__}, not a Method: wrap the network in one, e.g. SimCLR(encoder)"
        )
    if not hasattr(optimizer, "param_groups"):
        raise UsageError(
            f"the optimizer is {optimizer!r}: give one of torch, e.g. SGD(model.parameters(), lr=0.03, momentum=0.9)"
        )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if missing:
        raise UsageError(
            f"the optimizer holds no {', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}: "
            "give it all model.parameters(), in as many groups as you like"
        )


def check_experience(strategy: Any) -> None:
    """Check the labels and the boundaries of the experience that comes, and whether it fits into a memory bank."""
    model, dataset = strategy.model, strategy.adapted_dataset
    check_labels(model, dataset, strategy.experience.logging())
    check_boundaries(model, strategy.experience)
    warn_if_bank_is_small(model, len(dataset), strategy.train_epochs)


def check_labels(model: Method, dataset: Any, experience: Any = None) -> None:
    """Refuse labels that a method reads and has no class for, or which stand for several classes."""
    if model.num_classes_read:
        stream = getattr(experience, "origin_stream", None)
        if getattr(getattr(stream, "benchmark", None), "class_ids_from_zero_in_each_exp", False):
            raise UsageError(
                f"{type(model).__name__} reads labels, and here they start from zero in each experience: leave "
                "class_ids_from_zero_in_each_exp out, so that different classes have different labels"
            )
        labels = class_labels(dataset)
        wrong = labels[(labels < 0) | (labels >= model.num_classes_read)]
        if len(wrong):
            raise UsageError(
                f"{type(model).__name__} reads labels 0 to {model.num_classes_read - 1}, and the experience has "
                f"{int(wrong[0])}: give it more classes (--set classes=...), number those of the stream 0, 1, 2, ..., "
                "or give a labeled stream"
            )


def check_targets(labels: torch.Tensor, columns: int) -> None:
    """Refuse to score images whose label (B,) has no column in the logits of the probe, as those without a label."""
    wrong = labels[(labels < 0) | (labels >= columns)]
    if len(wrong):
        raise UsageError(
            f"eval() scores every image, and one has the label {int(wrong[0])}, which is none of the probe's 0 to "
            f"{columns - 1}: evaluate on labeled images of its classes, or read the accuracies of ProbePlugin, which "
            "leaves images without a label out"
        )


def check_boundaries(model: Method, experience: Any) -> None:
    """Refuse mini-batches of a stream for a method that requires full experiences."""
    if model.requires_full_experience and isinstance(experience, OnlineCLExperience):
        settings = ", ".join(f"{name}={value!r}" for name, value in model.online_defaults.items())
        raise UsageError(
            f"{type(model).__name__} reads a full experience before each epoch, and this one is a mini-batch of a "
            f"stream: give it {settings or 'full experiences'}"
        )


def warn_if_bank_is_small(model: nn.Module, images: int, epochs: int) -> None:
    """Warn before several passes over more images than a memory bank has rows: each row is gone before it is read.

    Args:
        model: the method.
        images: of the experience.
        epochs: passes over it.
    """
    if epochs == 1:
        return
    smallest = min((len(m.rows) for m in model.modules() if isinstance(m, MemoryBank)), default=images)
    if smallest < images:
        warnings.warn(
            f"the memory bank holds {smallest:,} images and the experience has {images:,}: most of their rows are "
            f"replaced before the next epoch reads them; raise the method's capacity to {images} or more",
            stacklevel=2,
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
