"""Raw images for Avalanche's plugins that load an experience by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from avalanche.training.plugins import AGEMPlugin, EWCPlugin, GEMPlugin, ReplayPlugin
from torch import Tensor
from torch.utils.data import default_collate

from avalanche_ssl.data import as_rgb, make_reader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import channels_of

LOAD_THE_EXPERIENCE = (EWCPlugin, AGEMPlugin, GEMPlugin)
"""Avalanche's plugins that load images of `strategy.experience.dataset` after an experience."""


class RawItems(torch.utils.data.Dataset[tuple[Tensor, Tensor, Tensor]]):
    """An Avalanche dataset whose items are (x, y, t) as in training: the image before any view of it, class, task.

    Whatever else is asked of it, the Avalanche dataset answers.
    """

    collate_fn = staticmethod(default_collate)
    _dataset: Any = None

    def __init__(self, dataset: Any, use_dataset_transforms: bool = False, in_channels: int | None = None) -> None:
        self._dataset = dataset
        self._use_dataset_transforms = use_dataset_transforms
        self._in_channels = in_channels

    def __reduce__(self) -> tuple[Any, ...]:
        return RawItems, (self._dataset, self._use_dataset_transforms, self._in_channels)

    @cached_property
    def _reader(self) -> Any:
        return make_reader(self._dataset, self._use_dataset_transforms)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor, Tensor]]:
        x, y, t = self._reader.batch(torch.tensor(indices))
        return list(zip(as_rgb(x) if self._in_channels == 3 else x, y, t, strict=True))

    def subset(self, indices: Sequence[int]) -> RawItems:
        """The items at `indices`."""
        return RawItems(self._dataset.subset(indices), self._use_dataset_transforms, self._in_channels)


class RawExperience:
    """An experience whose dataset is a `RawItems`."""

    _experience: Any = None

    def __init__(self, experience: Any, use_dataset_transforms: bool = False, in_channels: int | None = None) -> None:
        self._experience = experience
        self.dataset = RawItems(experience.dataset, use_dataset_transforms, in_channels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._experience, name)


def trigger_plugins(strategy: Any, event: str, **kwargs: Any) -> None:
    """Call the plugins as Avalanche does, with an experience of raw images for those that load it by themselves.

    Avalanche's EWC, AGEM and GEM would otherwise apply the dataset's own transforms, and compute importances and
    reference gradients on other images than those that the method trains on.
    """
    for plugin in strategy.plugins:
        callback = getattr(plugin, event, None)
        if callback is None:
            continue
        if not isinstance(plugin, LOAD_THE_EXPERIENCE):
            callback(strategy, **kwargs)
            continue
        experience = strategy.experience
        channels = channels_of(strategy.model)
        raw = RawExperience(experience, strategy.use_dataset_transforms, channels)
        if isinstance(plugin, EWCPlugin):
            raw.dataset = _without_small_batch(raw.dataset, strategy)
        strategy.experience = raw
        try:
            callback(strategy, **kwargs)
        finally:
            strategy.experience = experience


def check_not_empty(strategy: Any) -> None:
    """Refuse an experience of no image for plugins of Avalanche that load it all the same.

    Raises:
        UsageError: names the plugin; its loader, or the importances of nothing, would fail in another place.
    """
    if len(strategy.experience.dataset):
        return
    for plugin in strategy.plugins:
        replays = isinstance(plugin, ReplayPlugin) and len(plugin.storage_policy.buffer) > 0
        if replays or isinstance(plugin, EWCPlugin):
            remedy = "Replay" if replays else "Anchor('fisher')"
            raise UsageError(
                f"experience {strategy.clock.train_exp_counter + 1} has no image, and Avalanche's "
                f"{type(plugin).__name__} takes none like that: leave it out of the stream, or use {remedy} of "
                "avalanche_ssl.plugins"
            )


def _without_small_batch(items: RawItems, strategy: Any) -> RawItems:
    """Without the last images, if they would be a batch of their own that is too small for the method's loss."""
    rest = len(items) % strategy.train_mb_size
    if 0 < rest < min(strategy.model.min_batch_size, len(items)):
        return items.subset(range(len(items) - rest))
    return items
