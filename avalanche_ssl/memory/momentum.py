"""`MomentumEncoder`: an exponential moving average of a network."""

import copy
import math

import torch
from torch import Tensor, nn


class MomentumEncoder(nn.Module):
    """An exponential moving average of a network's parameters, without gradients.

    Buffers are deliberately not averaged: the batch-norm statistics come from the copy's own forward passes in train
    mode, as in the code of MoCo and BYOL (averaged with a momentum near 1, they would stay at their initial values).

    The momentum is constant or, with `steps`, rises along half a cosine over that many steps and then starts again,
    like the learning rate in each experience. BYOL's own schedule rises to 1 once and would leave the copy frozen for
    the rest of a stream.

    Args:
        network: network to copy; call `update` with it after each step.
        momentum: m of ``copy = m * copy + (1 - m) * network`` (MoCo eq. 2, BYOL eq. 1).
        steps: K, period of the schedule, counted in the persistent `n_updates`; 0 for a constant momentum.
        final: momentum at the end of a period, below 1, where the copy would stand still.

    Raises:
        ValueError: the momentum is outside [0, 1], or the schedule is impossible.
    """

    n_updates: Tensor

    def __init__(self, network: nn.Module, momentum: float, steps: int = 0, final: float = 0.999) -> None:
        super().__init__()
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum {momentum} of the momentum encoder is not in [0, 1]")
        if steps < 0 or (steps and not momentum <= final < 1):
            raise ValueError(
                f"momentum {momentum} of the momentum encoder cannot rise to {final} in {steps} steps: give a final "
                f"momentum from {momentum} to below 1, and 0 steps (constant) or more"
            )
        self.momentum, self.steps, self.final = momentum, steps, final
        self.copy = copy.deepcopy(network).requires_grad_(False)
        self.register_buffer("n_updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Output of the copy, without gradients."""
        out: Tensor = self.copy(x)
        return out

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the parameters towards those of `network` by ``1 - momentum``."""
        own: list[Tensor] = list(self.copy.parameters())
        online: list[Tensor] = list(network.parameters())
        if not self.steps:
            torch._foreach_lerp_(own, online, 1 - self.momentum)
        else:
            rate = 1 - cosine_momentum(self.n_updates % self.steps, self.steps, self.momentum, self.final)
            for parameter, target in zip(own, online, strict=True):
                parameter.lerp_(target, rate.to(parameter.dtype))
        self.n_updates += 1


def cosine_momentum(step: Tensor, steps: int, start: float, final: float) -> Tensor:
    """Momentum at a step (0-d) of half a cosine from `start` to `final`: BYOL (arXiv:2006.07733) sec. 3.3; 0-d."""
    return final - (final - start) * (1 + torch.cos(math.pi * step.double() / steps)) / 2
