"""Normalization layers by name, `SplitBatchNorm`, and forward passes that leave running statistics alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import gcd
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.distributed import Share, present, shared_batch_norm
from avalanche_ssl.errors import UsageError, unknown_name

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers that normalization layers write in forward passes in train mode."""


@contextmanager
def frozen_buffers(network: nn.Module) -> Iterator[None]:
    """Discard what forward passes write to buffers, such as running batch-norm statistics.

    In train mode layers still normalize by their batch, but the running statistics of small, transformed patches would
    make the features of full images wrong in eval mode. The network works on copies of all its buffers meanwhile and
    gets its own back afterwards, even after an error.
    """
    own = [(m, name, buffer) for m in network.modules() for name, buffer in m._buffers.items() if buffer is not None]
    try:
        for module, name, buffer in own:
            module._buffers[name] = buffer.clone()
        yield
    finally:
        for module, name, buffer in own:
            module._buffers[name] = buffer


class Norm(Protocol):
    """Builds the normalization layer for a number of channels."""

    def __call__(self, channels: int, /) -> nn.Module:
        """The layer."""


def _batch_norm(channels: int, /) -> nn.Module:
    return nn.BatchNorm2d(channels)


def _group_norm(channels: int, /) -> nn.Module:
    """At most 32 groups (Wu & He 2018, arXiv:1803.08494), none of fewer than 8 channels."""
    return nn.GroupNorm(gcd(channels, max(1, channels // 8), 32), channels)


def _layer_norm(channels: int, /) -> nn.Module:
    return nn.GroupNorm(1, channels)


def no_norm(channels: int, /) -> nn.Module:
    """No layer."""
    return nn.Identity()


class SplitBatchNorm(nn.BatchNorm2d):
    """Batch norm with separate statistics for groups of the batch, as if they were on separate devices.

    MoCo's CIFAR-10 demo has 8 groups, so that a query cannot identify its key by shared statistics. The groups are
    consecutive images, differ by at most one in size, and hold 8 images or more, so a small batch has fewer groups.
    Running statistics follow the mean over the groups; in eval mode this is batch norm.

    Args:
        channels: C of (B, C, H, W).
        groups: maximum number of groups.

    Raises:
        UsageError: `groups` is below 1.
    """

    running_mean: Tensor
    running_var: Tensor
    interleaved = False
    """Group image i by i modulo the number of groups instead: keys then share statistics with other images than their
    queries do, and need no shuffling."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__(channels)
        if groups < 1:
            raise UsageError(f"batch norm cannot be split into {groups} groups: give 1 or more")
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Normalized maps (B, C, H, W)."""
        share = present()
        count = len(x) if share is None else len(x) // len(share.rows) * share.total
        groups = min(self.groups, count // 8)
        if not self.training or groups < 2:
            return super().forward(x)
        if share is not None:
            return self._normalized_by_all(x, share, groups)
        sizes = [len(part) for part in torch.arange(len(x)).tensor_split(groups)]
        if not self.interleaved:
            # The gradient of tensor_split would pad each part to the full batch.
            return self._normalized(x.split_with_sizes(sizes))
        order = torch.arange(len(x), device=x.device)
        order = torch.cat([order[i::groups] for i in range(groups)])
        back = torch.empty_like(order).scatter_(0, order, torch.arange(len(x), device=x.device))
        return _reordered(self._normalized(_reordered(x, order).split_with_sizes(sizes)), back)

    def _normalized(self, parts: Sequence[Tensor]) -> Tensor:
        """Each part normalized by its own statistics, joined; the running statistics follow their mean."""
        means, variances = (s.expand(len(parts), -1).clone() for s in (self.running_mean, self.running_var))
        normalized = [
            F.batch_norm(part, mean, variance, self.weight, self.bias, True, self.momentum or 0.0, self.eps)
            for part, mean, variance in zip(parts, means, variances, strict=True)
        ]
        self._follow(means.mean(0), variances.mean(0))
        return torch.cat(normalized)

    def _normalized_by_all(self, x: Tensor, share: Share, groups: int) -> Tensor:
        """Rows of one of several processes, one view of its images under the other, in groups of the whole batch."""
        views = len(x) // len(share.rows)
        rows = (torch.arange(views)[:, None] * share.total + share.rows).flatten()
        if self.interleaved:
            group = rows % groups
        else:
            ends = torch.tensor([int(part[-1]) for part in torch.arange(views * share.total).tensor_split(groups)])
            group = torch.searchsorted(ends, rows)
        members = [(group == i).nonzero()[:, 0].to(x.device) for i in range(groups)]
        y, means, variances = shared_batch_norm(x, members, self.weight, self.bias, self.eps)
        momentum = self.momentum or 0.0
        self._follow(
            self.running_mean.lerp(means.mean(0).to(self.running_mean.dtype), momentum),
            self.running_var.lerp(variances.mean(0).to(self.running_var.dtype), momentum),
        )
        return y

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Set the running statistics."""
        self.running_mean.copy_(mean)
        self.running_var.copy_(variance)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    """Maps (B, C, H, W) with their images reordered, in the same memory layout."""
    if not x.is_contiguous(memory_format=torch.channels_last):
        return x.index_select(0, order)
    return x.permute(0, 2, 3, 1).index_select(0, order).permute(0, 3, 1, 2)


def _split_batch_norm(channels: int, /) -> nn.Module:
    return SplitBatchNorm(channels)


NORMS: dict[str, Norm] = {
    "batch": _batch_norm,
    "split": _split_batch_norm,
    "group": _group_norm,
    "layer": _layer_norm,
    "none": no_norm,
}


def get_norm(name: str) -> Norm:
    """The norm of a name in `NORMS`.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in NORMS:
        raise unknown_name("norm", name, NORMS)
    return NORMS[name]
