"""`Queue`: the newest rows, in a ring."""

import torch
from torch import Tensor, nn

from avalanche_ssl.functional import l2_normalize


class Queue(nn.Module):
    """The newest `size` rows, overwritten in a ring (MoCo, arXiv:1911.05722 sec. 3.2; SwAV's queue).

    Starts with random unit rows, as in MoCo, so that losses see `size` negatives from the first step.

    Args:
        size: number of rows; bounds the memory at any stream length.
        dim: length D of a row.
    """

    rows: Tensor
    n_enqueued: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"a queue needs size and dim of at least 1, not {size} and {dim}")
        self.register_buffer("rows", l2_normalize(torch.randn(size, dim)))
        self.register_buffer("n_enqueued", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, rows: Tensor) -> None:
        """Replace the oldest rows by `rows` (B, D); of more than `size` rows the last `size` are kept."""
        size = len(self.rows)
        slots = (self.n_enqueued + torch.arange(len(rows), device=rows.device)) % size
        self.rows.index_copy_(0, slots[-size:], rows[-size:].to(self.rows.dtype))
        self.n_enqueued += len(rows)

    def ages(self) -> Tensor:
        """Number of rows enqueued after each row, (size,) long; -1 for rows never written."""
        size = len(self.rows)
        age = (self.n_enqueued - 1 - torch.arange(size, device=self.rows.device)) % size
        return torch.where(age < self.n_enqueued, age, -1)
