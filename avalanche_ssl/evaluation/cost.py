"""The cost of training in views, parameters and bytes kept, to compare strategies at equal cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from avalanche_ssl.methods import Method, trial_mode


class PluginCost(NamedTuple):
    """What a plugin trains and keeps; a plugin with a method `cost` that returns one is counted."""

    parameters: int
    """Trainable ones."""
    teacher_bytes: int
    """Of copies of the method."""
    image_bytes: int
    """Of memories of images, with features and what their policies keep."""
    other_bytes: int
    """Of everything else."""


def training_cost(strategy: Any, batch: Tensor | None, images: int, steps: int) -> dict[str, int]:
    """The cost of a strategy's training so far.

    Args:
        strategy: a `SelfSupervised`.
        batch: some of its raw images (B, C, H, W), to count the views per image; None if there were none.
        images: trained on so far, each pass and each replayed image counted.
        steps: of the optimizer.

    Returns:
        ``views``: views that were made of these images and encoded, each crop, patch or group of color channels counted
        (the "computation budget" n_views n_steps b of CLA); ``teacher_views``: those that copies of the method embedded
        for plugins, a forward pass each, which is a third of a step's; ``steps``; ``parameters``: trainable ones of the
        method; ``plugin_parameters``; ``bytes_remembered``: of everything else that the method keeps (queue, bank,
        momentum encoder, running statistics), that plugins keep, and of the images in Avalanche's replay buffers, as
        raw pixels; of these ``teacher_bytes`` and ``image_bytes``. What plugins embed to know a feature of an image
        that is in no step, or the importance of weights, is not counted; nor are probes.
    """
    model: Method = strategy.model
    plugins = [plugin.cost() for plugin in strategy.plugins if hasattr(plugin, "cost")]
    parameters, teachers, memories, others = (sum(each) for each in zip(PluginCost(0, 0, 0, 0), *plugins, strict=True))
    memories += 0 if batch is None else _replayed(strategy) * batch[0].numel()
    return {
        "views": 0 if batch is None else images * views_per_image(model, batch),
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "bytes_remembered": _kept_bytes(model) + teachers + memories + others,
        "teacher_views": strategy.teacher_views,
        "plugin_parameters": parameters,
        "teacher_bytes": teachers,
        "image_bytes": memories,
    }


def views_per_image(model: Method, x: Tensor) -> int:
    """How many views the method makes per image of the batch x (B, C, H, W); no random state changes."""
    with trial_mode(model, x.device):
        views = model.views(x)
    return sum(v[0].numel() // v.shape[-3:].numel() for v in views.values() if v.ndim >= 4)


def _kept_bytes(model: nn.Module) -> int:
    kept = [*model.buffers(), *(p for p in model.parameters() if not p.requires_grad)]
    return sum(t.numel() * t.element_size() for t in kept)


def _replayed(strategy: Any) -> int:
    """Number of images in the buffers of Avalanche's replay plugins."""
    stored = [getattr(getattr(plugin, "storage_policy", None), "buffer", ()) for plugin in strategy.plugins]
    return sum(len(buffer) for buffer in stored)
