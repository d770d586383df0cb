"""What training cannot learn from is refused: too few images in a step, no step at all, images that do not differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avalanche.training.plugins import ReplayPlugin
from torch import Tensor

from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.methods import Method
from avalanche_ssl.rng import isolated

FEW = 8
"""Images below which a batch may well hold the same image only, e.g. frames of a video."""


def check_steps(model: Method, batch_size: int, epochs: int, plugins: Sequence[Any]) -> None:
    """Refuse batches and epochs that make no step to learn from; a replay memory fills batches that are too small.

    Raises:
        UsageError: names the setting and the smallest value that works.
    """
    require_positive(train_mb_size=batch_size, train_epochs=epochs)
    if not any(isinstance(plugin, ReplayPlugin) for plugin in plugins):
        model.check_batch_size(batch_size)


def check_images_differ(strategy: Any) -> None:
    """Refuse an experience whose images are all the same, which the first batch of each reveals.

    All other images are read only where those of the batch are the same.

    Raises:
        UsageError: names the experience.
    """
    batch: Tensor = strategy.mb_x
    first = batch[:1]
    if len(batch) < FEW or bool((batch != first).any()):
        return
    with isolated():  # transforms of the stream may draw from the global random states
        if any(bool((images != first).any()) for images in strategy.images()):
            return
    number = strategy.clock.train_exp_counter + 1
    raise UsageError(
        f"all {len(strategy.adapted_dataset)} images of experience {number} are identical, so that nothing can be "
        f"learned from them: look at the data (pixels from {float(first.min()):g} to {float(first.max()):g})"
    )
