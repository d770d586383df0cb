"""`Queue`: the newest rows, in a ring."""

import torch
from torch import Tensor, nn

from avalanche_ssl.functional import unit


class Queue(nn.Module):
    """The newest `size` rows, overwritten in a ring (MoCo, arXiv:1911.05722 sec. 3.2; SwAV's queue).

    Starts with random unit rows, as MoCo does, so that losses see `size` negatives from the first step.

    Args:
        size: rows kept; bounds the memory at any stream length.
        dim: length D of a row.
    """

    rows: Tensor
    pushed: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ValueError(f"a queue needs size and dim of at least 1, not {size} and {dim}")
        self.register_buffer("rows", unit(torch.randn(size, dim)))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, rows: Tensor) -> None:
        """Write rows (B, D) over the oldest ones; of more than `size` rows the last `size` stay."""
        size = len(self.rows)
        slots = (self.pushed + torch.arange(len(rows), device=rows.device)) % size
        self.rows.index_copy_(0, slots[-size:], rows[-size:].to(self.rows.dtype))
        self.pushed += len(rows)

    def ages(self) -> Tensor:
        """How many rows were pushed after each row, (size,) long; -1 for rows never written."""
        size = len(self.rows)
        age = (self.pushed - 1 - torch.arange(size, device=self.rows.device)) % size
        return torch.where(age < self.pushed, age, -1)
