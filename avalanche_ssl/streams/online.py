"""How is a stream cut into mini-batches that are seen once?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from avalanche.benchmarks import CLExperience, CLStream, DatasetExperience
from avalanche.benchmarks.scenarios import OnlineCLExperience

from avalanche_ssl.errors import UsageError


def cut(
    stream: CLStream[Any] | DatasetExperience[Any],
    batch_size: int,
    seed: int,
    access_task_boundaries: bool,
    shuffle: bool = True,
) -> CLStream[Any]:
    """A stream of mini-batches, made when they are asked for."""
    if batch_size < 1:
        raise UsageError(f"cannot cut a stream into experiences of {batch_size} images: give 1 or more")
    whole = [stream] if isinstance(stream, CLExperience) else stream
    parts = _Parts(whole, batch_size, seed, access_task_boundaries, shuffle)
    return CLStream(name=getattr(stream, "name", "train") + "_online", exps_iter=parts)


@dataclass(frozen=True)
class _Parts:
    """Mini-batches that are made anew each time they are iterated over.

    Avalanche's own stream is a generator, each of whose mini-batches is kept for another time: memory grows.
    """

    stream: Any
    size: int
    seed: int
    access_task_boundaries: bool
    shuffle: bool

    def __iter__(self) -> Iterator[OnlineCLExperience[Any]]:
        for experience in self.stream:
            yield from _mini_batches(experience, self.size, self.seed, self.access_task_boundaries, self.shuffle)


def _mini_batches(
    experience: DatasetExperience[Any], size: int, seed: int, access_task_boundaries: bool, shuffle: bool
) -> Iterator[OnlineCLExperience[Any]]:
    """Avalanche's own splitter never marks the last part of an experience that `size` divides (0.6.0)."""
    # The number of the experience makes each one's shuffle its own.
    rng = np.random.default_rng([seed, experience.logging().current_experience])
    order = rng.permutation(len(experience.dataset)).tolist() if shuffle else range(len(experience.dataset))
    starts = range(0, len(order), size)
    for start in starts:
        yield OnlineCLExperience(
            dataset=experience.dataset.subset(order[start : start + size]),
            origin_experience=experience,
            is_first_subexp=start == 0,
            is_last_subexp=start == starts[-1],
            sub_stream_length=len(starts),
            access_task_boundaries=access_task_boundaries,
        )
