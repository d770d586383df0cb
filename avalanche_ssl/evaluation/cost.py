"""The cost of training in views, parameters and bytes kept, to compare strategies at equal cost."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from avalanche_ssl.methods import Method, trial_mode


def training_cost(strategy: Any, batch: Tensor | None, images: int, steps: int) -> dict[str, int]:
    """The cost of a strategy's training so far.

    Args:
        strategy: a `SelfSupervised`.
        batch: some of its raw images (B, C, H, W), to count the views per image; None if there were none.
        images: trained on so far, each pass and each replayed image counted.
        steps: of the optimizer.

    Returns:
        ``views``: views that were made of these images and encoded, each crop, patch or group of color channels counted
        (the "computation budget" n_views n_steps b of CLA); ``steps``; ``parameters``: trainable ones;
        ``bytes_remembered``: of everything else that the method keeps (queue, bank, momentum encoder, running
        statistics), and of the images in Avalanche's replay buffers, as raw pixels.
    """
    model: Method = strategy.model
    return {
        "views": 0 if batch is None else images * views_per_image(model, batch),
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "bytes_remembered": _kept_bytes(model) + (0 if batch is None else _replayed(strategy) * batch[0].numel()),
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
    """Number of images in the buffers of replay plugins."""
    stored = [getattr(getattr(plugin, "storage_policy", None), "buffer", ()) for plugin in strategy.plugins]
    return sum(len(buffer) for buffer in stored)
