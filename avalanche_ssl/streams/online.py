"""Streams of mini-batches, each of which is an experience that comes once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from avalanche.benchmarks import CLExperience, CLStream, DatasetExperience
from avalanche.benchmarks.scenarios import OnlineCLExperience

from avalanche_ssl.data import shard_images
from avalanche_ssl.errors import UsageError


def mini_batch_stream(
    stream: CLStream[Any] | DatasetExperience[Any],
    batch_size: int,
    seed: int,
    access_task_boundaries: bool,
    shuffle: bool = True,
) -> CLStream[Any]:
    """The stream cut into mini-batches, which are made as it is iterated over."""
    if batch_size < 1:
        raise UsageError(f"cannot cut a stream into experiences of {batch_size} images: give 1 or more")
    experiences = [stream] if isinstance(stream, CLExperience) else stream
    parts = _MiniBatches(experiences, batch_size, seed, access_task_boundaries, shuffle)
    return CLStream(name=getattr(stream, "name", "train") + "_online", exps_iter=parts)


@dataclass(frozen=True)
class _MiniBatches:
    """Mini-batches that are made again for each iteration.

    Avalanche's own online stream is a generator, all of whose mini-batches are kept for later: its memory grows.
    """

    experiences: Any
    size: int
    seed: int
    access_task_boundaries: bool
    shuffle: bool

    def __iter__(self) -> Iterator[OnlineCLExperience[Any]]:
        for experience in self.experiences:
            yield from _mini_batches(experience, self.size, self.seed, self.access_task_boundaries, self.shuffle)


def _mini_batches(
    experience: DatasetExperience[Any], size: int, seed: int, access_task_boundaries: bool, shuffle: bool
) -> Iterator[OnlineCLExperience[Any]]:
    """The mini-batches of an experience.

    Avalanche's own splitter (0.6.0) never marks the last one of an experience that `size` divides.
    """
    # the number of the experience gives each its own shuffle
    seed_of_experience = [seed, experience.logging().current_experience]
    take = _order(experience.dataset, seed_of_experience) if shuffle else range
    starts = range(0, len(experience.dataset), size)
    for start in starts:
        yield OnlineCLExperience(
            dataset=experience.dataset.subset(take(start, min(start + size, len(experience.dataset)))),
            origin_experience=experience,
            is_first_subexp=start == 0,
            is_last_subexp=start == starts[-1],
            sub_stream_length=len(starts),
            access_task_boundaries=access_task_boundaries,
        )


def _order(dataset: Any, seed: Sequence[int]) -> Callable[[int, int], list[int]]:
    """The images that come from one place of a random order to another; no list is made of those in shards."""
    shards = shard_images(dataset)
    if shards is not None:
        order = shards.order(seed)
        return lambda first, last: order.positions(first, last).tolist()
    drawn = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    return lambda first, last: drawn[first:last]
