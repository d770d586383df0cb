"""`OPTIMIZERS`: optimizers by name."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from avalanche_ssl.optim.lars import LARS

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


def fused(kind: Callable[..., torch.optim.Optimizer], params: Params, **settings: Any) -> torch.optim.Optimizer:
    """An optimizer of torch whose step is one kernel: a tenth of Adam's time on a CPU, equal up to rounding.

    A parameter with gaps in its memory, which these kernels cannot read, gets the ordinary step for all.

    Args:
        kind: its class.
        params: tensors, or groups whose `params` are lists of them.
        settings: other arguments of the class.
    """
    given: list[Any] = list(params)
    tensors = [p for entry in given for p in (entry["params"] if isinstance(entry, dict) else [entry])]
    return kind(given, fused=all(_is_dense(p) for p in tensors), **settings)


def match_layouts(optimizer: torch.optim.Optimizer) -> None:
    """Lay out gradients in memory as their parameters, where the step is fused; call it before a step.

    Autograd does so, and a plugin that sets a gradient need not: the kernels of torch for CPUs read both in the order
    of their memory, without a check.
    """
    for group in optimizer.param_groups:
        if group.get("fused"):
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
                    parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)


def _is_dense(parameter: Tensor) -> bool:
    """Whether its values fill its memory, in any order: another tensor made like it then has its strides."""
    return torch.empty_like(parameter, device="meta").stride() == parameter.stride()


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, momentum=0.9),
    "adam": partial(fused, torch.optim.Adam),
    "adamw": partial(fused, torch.optim.AdamW),
    "lars": LARS,
}
