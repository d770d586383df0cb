"""Randomness: capture, restore, isolate and seed the global random states; uniform numbers of a generator."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from avalanche_ssl.distributed import present, size, whole_shape

RandomStates = dict[str, Any]
"""States of the global generators of Python, NumPy and torch, as tensors and plain values."""


def capture(cuda: bool = True) -> RandomStates:
    """The states of the global generators; with `cuda`, those of all GPUs too if CUDA is in use."""
    numpy = np.random.get_state(legacy=False)
    assert isinstance(numpy, dict)
    return {
        "python": random.getstate(),
        "numpy": numpy | {"state": {"key": numpy["state"]["key"].tolist(), "pos": numpy["state"]["pos"]}},
        "torch": torch.get_rng_state(),
        "cuda": _on_gpus() if cuda and torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
    }


def restore(states: RandomStates) -> None:
    """Put the global generators back to where `capture` found them."""
    random.setstate(states["python"])
    words = np.asarray(states["numpy"]["state"]["key"], np.uint32)
    np.random.set_state(states["numpy"] | {"state": {"key": words, "pos": states["numpy"]["state"]["pos"]}})
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        if size() > 1:
            torch.cuda.set_rng_state(states["cuda"][0])
        else:
            torch.cuda.set_rng_state_all(states["cuda"][: torch.cuda.device_count()])


def _on_gpus() -> list[Tensor]:
    """The states of all GPUs; of several processes, each of which has one, that of its own."""
    every: list[Tensor] = torch.cuda.get_rng_state_all() if size() == 1 else [torch.cuda.get_rng_state()]
    return every


@contextmanager
def isolated() -> Iterator[None]:
    """Restore the global random states when the block ends."""
    before = capture()
    try:
        yield
    finally:
        restore(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global random states of the CPU, and restore them when the block ends."""
    before = capture(cuda=False)
    seed_all(seed, cuda=False)
    try:
        yield
    finally:
        restore(before)


def seed_all(seed: int, cuda: bool = True) -> None:
    """Seed the global generators of Python, NumPy and torch; with `cuda`, those of all GPUs too."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if cuda:
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def uniform(
    shape: Sequence[int],
    low: float,
    high: float,
    generator: Generator | None = None,
    device: torch.device | str = "cpu",
    images: int | None = 0,
) -> Tensor:
    """Uniform float32 numbers in [low, high), drawn on the generator's device and then moved to `device`.

    Where images are the share of one of several processes, the numbers of the whole batch are drawn, and those of the
    share kept: so each image gets the numbers that it would get in one process.

    Args:
        shape: of the result.
        low, high: the range.
        generator: torch's global one if None.
        device: of the result.
        images: the dimension that has the same number of entries for each image, those of an image side by side; None:
            the numbers belong to no image.
    """
    source = device if generator is None else generator.device
    share = None if images is None else present()
    if share is not None and images is not None:
        shape = whole_shape(shape, images)
    numbers = torch.rand(shape, generator=generator, device=source, dtype=torch.float32)
    if share is not None and images is not None:
        numbers = share.keep(numbers, images)
    return numbers.mul_(high - low).add_(low).to(device, non_blocking=True)
