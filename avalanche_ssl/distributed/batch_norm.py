"""Batch norm over the images of all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from avalanche_ssl.distributed.gathering import of_all, summed
from avalanche_ssl.distributed.share import Share, images_are


@contextmanager
def sharing(share: Share | None) -> Iterator[None]:
    """A block in which images are the rows of a share, and batch norm in training takes all processes' statistics.

    Whatever calls `torch.nn.functional.batch_norm` is meant, in whichever class: layers need not be replaced. What a
    network draws from torch's global random states, as dropout does, leaves these alike in all processes, however many
    rows each has.
    """
    with images_are(share):
        if share is None:
            yield
            return
        with _SharedStatistics(), _drawing_alike():
            yield


@contextmanager
def _drawing_alike() -> Iterator[None]:
    """A block after which the global random states have moved by one draw, if they have moved at all."""
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    before = torch.get_rng_state(), torch.cuda.get_rng_state() if on_gpu else torch.empty(0)
    yield
    if not torch.equal(torch.get_rng_state(), before[0]):
        torch.set_rng_state(before[0])
        torch.rand(())
    if on_gpu and not torch.equal(torch.cuda.get_rng_state(), before[1]):
        torch.cuda.set_rng_state(before[1])
        torch.rand((), device="cuda")


class _SharedStatistics(TorchFunctionMode):
    """Calls `shared_batch_norm` in the place of `batch_norm`."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        return _batch_norm(*args, **(kwargs or {}))


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `torch.nn.functional.batch_norm`."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    rows = [torch.arange(len(x), device=x.device)]
    y, means, variances = shared_batch_norm(x, rows, weight, bias, eps)
    with torch.no_grad():
        if running_mean is not None:
            running_mean.lerp_(means[0].to(running_mean.dtype), momentum)
        if running_var is not None:
            running_var.lerp_(variances[0].to(running_var.dtype), momentum)
    return y


def shared_batch_norm(
    x: Tensor, groups: Sequence[Tensor], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch norm with statistics of all processes, separately for each of G groups of rows.

    Args:
        x: (n, C, ...) rows of this process.
        groups: for each group, which of these rows belong to it; none may be this process's.
        weight, bias: (C,), or None.
        eps: added to the variance.

    Returns:
        The normalized rows, means (G, C), and variances (G, C) without bias.
    """
    n_channels = x.shape[1]
    ones = torch.ones(n_channels, dtype=torch.float32 if x.dtype == torch.bfloat16 else x.dtype, device=x.device)
    weight = ones if weight is None else weight
    bias = torch.zeros_like(ones) if bias is None else bias
    y, means, variances = _SharedBatchNorm.apply(x, groups, weight, bias, eps)
    return y, means, variances


class _SharedBatchNorm(torch.autograd.Function):
    """See `shared_batch_norm`; what is computed for each value, torch's fused kernels compute.

    Means and scatters of processes are combined as by Chan, Golub & LeVeque (1979).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, groups: Sequence[Tensor], weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The normalized rows, means and unbiased variances."""
        local = torch.stack([_statistics(part, weight.dtype) for part in _parts(x, groups)])  # (G, 3, C)
        count, mean, variance, unbiased = _combined(of_all(local))
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.groups, ctx.eps = groups, eps
        normalized = [
            F.batch_norm(part, m, v, weight, bias, False, 0.0, eps)
            for part, m, v in zip(_parts(x, groups), mean, variance, strict=True)
        ]
        y = _joined(normalized, groups, x)
        ctx.mark_non_differentiable(mean, unbiased)
        return y, mean, unbiased

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor, None, Tensor, Tensor, None]:
        """With the mean gradient, and that along the normalized values, of all processes taken off."""
        x, weight, mean, variance, count = ctx.saved_tensors
        groups, eps = ctx.groups, ctx.eps
        dy = dy.contiguous(memory_format=_layout(x))
        parts, gradients = _parts(x, groups), _parts(dy, groups)
        sums = [
            _gradient_sums(grad, part, weight, m, v, eps)
            for part, grad, m, v in zip(parts, gradients, mean, variance, strict=True)
        ]
        own = torch.stack(sums)  # (G, 2, C): sums of dy * normalized x, and of dy
        along, plain = summed(own).unbind(1)
        inverse = (variance + eps).rsqrt()
        slope = -weight * inverse**2 * along / count[:, None]
        shift = -weight * inverse * plain / count[:, None] - slope * mean
        dx = [
            _affine(part, a, b).addcmul_(grad, _channels(weight * c, grad)).to(x.dtype)
            for part, grad, a, b, c in zip(parts, gradients, slope, shift, inverse, strict=True)
        ]
        return _joined(dx, groups, x), None, own[:, 0].sum(0), own[:, 1].sum(0), None


def _statistics(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Number of values, mean and scatter of each channel; (3, C)."""
    channels = x.shape[1]
    if not len(x):
        return torch.zeros(3, channels, dtype=dtype, device=x.device)
    mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
    count = x.numel() // channels
    return torch.stack([torch.full_like(mean, count), mean, variance * count]).to(dtype)


def _gradient_sums(dy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    """For each channel the sums of dy * normalized x, and of dy; (2, C)."""
    if not len(x):
        return torch.zeros(2, len(weight), dtype=weight.dtype, device=x.device)
    _, along, plain = torch.ops.aten.native_batch_norm_backward(
        dy, x, weight, mean, variance, None, None, False, eps, [False, True, True]
    )
    return torch.stack([along, plain])


def _combined(local: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """From (N, G, 3, C) of all processes: counts (G,), and means, variances with and without bias (G, C)."""
    counts, means, scatters = local.unbind(2)
    count = counts.sum(0)
    mean = (counts * means).sum(0) / count
    scatter = (scatters + counts * (means - mean) ** 2).sum(0)
    return count[:, 0], mean, scatter / count, scatter / (count - 1)


def _parts(x: Tensor, groups: Sequence[Tensor]) -> list[Tensor]:
    return [x] if len(groups) == 1 else [x[group] for group in groups]


def _joined(parts: Sequence[Tensor], groups: Sequence[Tensor], like: Tensor) -> Tensor:
    """The rows of all groups, each in its place."""
    if len(groups) == 1:
        return parts[0]
    whole = torch.empty_like(like)
    for group, part in zip(groups, parts, strict=True):
        whole[group] = part
    return whole


def _affine(x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    """``slope * x + shift`` of each channel, in their precision."""
    return torch.addcmul(_channels(shift, x), x, _channels(slope, x))


def _channels(values: Tensor, x: Tensor) -> Tensor:
    """A value for each channel of x."""
    return values.view(1, -1, *[1] * (x.ndim - 2))


def _layout(x: Tensor) -> torch.memory_format:
    nhwc = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if nhwc else torch.contiguous_format
