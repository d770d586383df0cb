"""`NCENormalizer`: the constant Z of noise-contrastive estimation."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avalanche_ssl.functional import log_mean_exp


class NCENormalizer(nn.Module):
    """log Z of NCE, where Z is the mean of exp(s/T) over the noise: a running mean instead of the first batch's value.

    The noise is the negatives alone: the key of a new image is its own embedding, with the largest possible exp(s/T).
    A step without negatives, while the bank is empty, does not count.

    Args:
        count: number of contrasts, each with its own Z.
        temperature: scores are divided by it.
    """

    log_z: Tensor
    steps: Tensor

    def __init__(self, count: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.register_buffer("log_z", torch.zeros(count))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, number: int, scores: Tensor) -> Tensor:
        """log Z, 0-d, of one contrast with scores (B, 1 + K); of these scores themselves until a step has counted."""
        return torch.where(self.steps > 0, self.log_z[number], self._log_z(scores.detach()).nan_to_num())

    @torch.no_grad()
    def update(self, scores: Sequence[Tensor]) -> None:
        """Add a step: scores (B, 1 + K) of each contrast."""
        new = torch.stack([self._log_z(each) for each in scores])
        found = new.isfinite().all()
        self.steps += found
        weight = (1 / self.steps.clamp(min=1)).clamp(min=0.01)
        mixed = torch.logaddexp(self.log_z + torch.log1p(-weight), new + weight.log())
        self.log_z.copy_(torch.where(found, mixed, self.log_z))

    def _log_z(self, scores: Tensor) -> Tensor:
        return log_mean_exp(scores[:, 1:], self.temperature)
