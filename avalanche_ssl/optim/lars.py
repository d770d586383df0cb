"""`LARS`: an optimizer with steps in proportion to the weights, for batches of thousands of images."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from avalanche_ssl.errors import UsageError


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling (You et al. 2017, arXiv:1708.03888), on top of SGD with momentum.

    Each weight's gradient, weight decay included, is multiplied by its trust ratio
    ``trust * |w| / (|g| + decay * |w|)`` before it enters the momentum. Parameters of one dimension (biases,
    normalization) are excluded, as in SimCLR and BYOL: they get plain momentum and no weight decay. The ratio is
    computed on the device, without waiting for it.

    Args:
        params: as for any optimizer of torch.
        lr: learning rate.
        momentum: of the scaled gradients.
        weight_decay: of weights.
        trust: eta, the trust coefficient: 0.001 in the paper, 0.02 in the CIFAR recipes of solo-learn.
        clip: limit the effective rate ``lr * ratio`` of a weight to `lr`, so that the ratio can only slow it down.
        eps: keeps the ratio finite.

    Raises:
        UsageError: a value is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.02,
        clip: bool = False,
        eps: float = 1e-8,
    ) -> None:
        if not lr >= 0 or not 0 <= momentum < 1 or not weight_decay >= 0 or not trust > 0:
            raise UsageError(
                f"LARS with lr={lr}, momentum={momentum}, weight_decay={weight_decay}, trust={trust}: lr and "
                "weight_decay must not be below 0, momentum in [0, 1) and trust above 0"
            )
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"trust": trust, "clip": clip, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one step and return the loss of `closure`, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient = parameter.grad
        assert gradient is not None
        if parameter.ndim > 1:
            scale = trust_ratio(parameter, gradient, group)
            gradient = (gradient + group["weight_decay"] * parameter) * scale
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        velocity = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        parameter.sub_(velocity, alpha=group["lr"])


def trust_ratio(weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
    """Factor of the gradient, 0-d; 1 where the weight or its gradient is 0 (arXiv:1708.03888 eq. 6)."""
    size, slope = weight.norm(), gradient.norm()
    ratio = group["trust"] * size / (slope + group["weight_decay"] * size + group["eps"])
    if group["clip"]:
        ratio = (ratio / group["lr"]).clamp(max=1) if group["lr"] > 0 else torch.zeros_like(ratio)
    return torch.where((size > 0) & (slope > 0), ratio, torch.ones_like(ratio))
