"""Global and generator-based randomness: capture, restore, isolate, draw."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor


def uniform(
    shape: Sequence[int],
    low: float,
    high: float,
    generator: Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Uniform float32 numbers in [low, high), drawn where the generator lives and then moved to `device`."""
    source = device if generator is None else generator.device
    numbers = torch.rand(shape, generator=generator, device=source, dtype=torch.float32)
    return numbers.mul_(high - low).add_(low).to(device, non_blocking=True)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global random states of this seed on the CPU; what they were is restored after."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)


def _random_state(strategy: Any) -> dict[str, Any]:
    numpy = np.random.get_state(legacy=False)
    assert isinstance(numpy, dict)
    return {
        "python": random.getstate(),
        "numpy": numpy | {"state": {"key": numpy["state"]["key"].tolist(), "pos": numpy["state"]["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
        "views": strategy.view_generator.get_state(),
        "order": strategy.order_generator.get_state(),
    }


def _set_random_state(strategy: Any, state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    words = np.asarray(state["numpy"]["state"]["key"], np.uint32)
    np.random.set_state(state["numpy"] | {"state": {"key": words, "pos": state["numpy"]["state"]["pos"]}})
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    strategy.view_generator.set_state(state["views"])
    strategy.order_generator.set_state(state["order"])


def _seed(seed: int) -> None:
    """Of what Avalanche draws from the global random states, such as the images that a replay memory keeps."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
