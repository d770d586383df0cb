"""Rows of all processes, joined with their gradient, and gradients averaged over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from avalanche_ssl.distributed.processes import group_of, size
from avalanche_ssl.distributed.share import Share, share_of

BUCKET = 25 * 2**20
"""Bytes of gradients that travel together."""

SMALL = 2**20
"""Bytes below which the processors' sum of what all have is faster than a reduction of gloo, by up to seven times."""


def gathered(x: Tensor, share: Share | None) -> Tensor:
    """The rows of all processes in the order of the whole batch, differentiable.

    The gradient is the exact adjoint: that of a process's rows is the sum of what all processes make of them. With
    losses that are the same everywhere this is the number of processes times the gradient of one of them, which the
    mean over processes (`average_gradients`) takes back.

    Args:
        x: rows (n, ...) of the share, of any dtype.
        share: None: `x` is the whole batch.
    """
    if share is None:
        return x
    whole: Tensor = _Gather.apply(x, share)
    return whole


def gathered_calls(x: Tensor, share: Share | None) -> Tensor:
    """`gathered`, of rows (k * n, ...) that a network made of k views of n images, one view under the other."""
    if share is None:
        return x
    views = x.view(-1, len(share.rows), *x.shape[1:])
    return gathered(views.transpose(0, 1), share).transpose(0, 1).flatten(0, 1)


def of_all(x: Tensor) -> Tensor:
    """A tensor of each process, of one shape and dtype in all of them; (N, ...), without gradient."""
    if size() == 1:
        return x[None]
    import torch.distributed as dist

    each = [torch.empty_like(x) for _ in range(size())]
    dist.all_gather(each, x.contiguous(), group=group_of(x.device))
    return torch.stack(each)


def summed(x: Tensor) -> Tensor:
    """The sum of a tensor over processes, the same in all of them, without gradient."""
    if x.device.type == "cpu" and x.nbytes < SMALL:
        return of_all(x).sum(0)
    import torch.distributed as dist

    total = x.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total, group=group_of(x.device))
    return total


def divided(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What a function makes of rows that all processes have: each computes its share, and all get all."""
    share = share_of(len(x))
    return gathered(function(x if share is None else share.keep(x)), share)


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace the gradient of each parameter by its mean over processes."""
    if size() > 1:
        average([p.grad for p in parameters if p.grad is not None])


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over processes."""
    if size() == 1:
        return
    import torch.distributed as dist

    travelling = []
    for bucket in _buckets(tensors):
        joined = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
        travelling.append((bucket, joined, dist.all_reduce(joined, group=group_of(joined.device), async_op=True)))
    for bucket, joined, work in travelling:
        work.wait()
        parts = torch.split(joined.div_(size()), [tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.detach().copy_(part.view_as(tensor))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors, by dtype, in groups of at least `BUCKET` bytes but for the last."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket: list[Tensor] = []
        for tensor in (t for t in tensors if t.dtype == dtype):
            bucket.append(tensor)
            if sum(t.nbytes for t in bucket) >= BUCKET:
                yield bucket
                bucket = []
        if bucket:
            yield bucket


class _Gather(torch.autograd.Function):
    """See `gathered`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: Share) -> Tensor:
        """All rows."""
        import torch.distributed as dist

        ctx.share = share
        sent = x.byte() if x.dtype == torch.bool else x  # gloo sends no bool
        padded = sent.new_zeros(max(share.sizes), *x.shape[1:])
        padded[: len(x)] = sent
        rows = [torch.empty_like(padded) for _ in range(share.count)]
        dist.all_gather(rows, padded, group=group_of(x.device))
        return share.joined([part[:n] for part, n in zip(rows, share.sizes, strict=True)]).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The own rows of the sum."""
        return ctx.share.keep(summed(gradient)), None
