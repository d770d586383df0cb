"""`Prototypes`: SwAV's trainable unit vectors."""

import torch
from torch import Tensor, nn

from avalanche_ssl.functional import l2_normalize


class Prototypes(nn.Module):
    """Unit vectors that embeddings are compared with, trained by gradient, frozen during the first steps.

    SwAV's last layer, without bias. The rows are normalized where they are used and written back normalized by
    `normalize`. While frozen, they get a gradient of zero and `normalize` undoes what the optimizer still does to them
    (momentum, weight decay), so they stay the same bit for bit. Nothing waits for the device.

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

    def forward(self, z: Tensor) -> Tensor:
        """Similarities (..., K) of unit embeddings (..., D)."""
        with torch.autocast(z.device.type, enabled=False):
            weight = torch.where(self.steps < self.freeze, self.weight.detach(), self.weight)
            return z @ l2_normalize(weight).T

    @torch.no_grad()
    def normalize(self) -> None:
        """Count a step and normalize the rows, or restore them while they are frozen."""
        rows = torch.where(self.steps < self.freeze, self.kept, l2_normalize(self.weight))
        self.weight.copy_(rows)
        self.kept.copy_(rows)
        self.steps += 1
