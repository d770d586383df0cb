"""`Prototypes`: SwAV's trainable unit vectors."""

from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.functional import l2_normalize


class Prototypes(nn.Module):
    """Unit vectors that embeddings are compared with, trained by gradient, frozen during the first steps.

    SwAV's last layer, without bias. As in its official code, a row has unit length when it is used, its gradient is
    that of a free vector, and `normalize` writes it back normalized after the step. While frozen, the rows get no
    gradient at all, so that an optimizer skips them with its momentum and moments, and `normalize` undoes what others,
    such as a penalty on all weights, still do to them: they stay the same bit for bit. The number of steps lies in the
    host's memory on every device, so that nothing waits.

    Args:
        count: K.
        dim: length D of a row.
        freeze: steps at the start of the stream during which they do not move (SwAV appendix A).
    """

    kept: Tensor
    steps: Tensor

    def __init__(self, count: int, dim: int, freeze: int = 0) -> None:
        super().__init__()
        if count < 2 or dim < 1 or freeze < 0:
            raise ValueError(f"{count} prototypes of length {dim}, frozen for {freeze} steps: give 2, 1, 0 or more")
        self.freeze = freeze
        self.weight = nn.Parameter(l2_normalize(torch.randn(count, dim)))
        self.register_buffer("kept", self.weight.detach().clone())
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @property
    def frozen(self) -> bool:
        """Whether they do not move yet."""
        return bool(self.steps < self.freeze)

    def forward(self, z: Tensor) -> Tensor:
        """Similarities (..., K) of unit embeddings (..., D)."""
        with torch.autocast(z.device.type, enabled=False):
            rows = self.weight.detach() if self.frozen else self.weight
            lengths: Tensor = rows.detach().norm(dim=1, keepdim=True).clamp_min(1e-12)
            return z @ (rows / lengths).T

    @torch.no_grad()
    def normalize(self) -> None:
        """Count a step and normalize the rows, or restore them while they are frozen."""
        rows = self.kept if self.frozen else l2_normalize(self.weight)
        self.weight.copy_(rows)
        self.kept.copy_(rows)
        self.steps += 1

    def _apply(self, *arguments: Any, **options: Any) -> "Prototypes":
        super()._apply(*arguments, **options)  # type: ignore[no-untyped-call]
        self.steps = self.steps.cpu()  # which is read on the host in every step
        return self
