"""Golden-test inputs: a linear congruential generator, exact on every platform and torch version."""

import torch
from torch import Tensor
from torch.nn import functional as F


def lcg(seed: int, *shape: int) -> Tensor:
    """Float64 values in [-1, 1), row-major: x' = (1664525 x + 1013904223) mod 2^32, value = x' / 2^31 - 1."""
    state, values = seed, []
    for _ in range(torch.Size(shape).numel()):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state / 2**31 - 1)
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def unit_rows(seed: int, *shape: int) -> Tensor:
    """`lcg` with every row (last dimension) scaled to length 1."""
    return F.normalize(lcg(seed, *shape), dim=-1)
