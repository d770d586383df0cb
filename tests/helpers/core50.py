"""CORe50 streams of small fake frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from avalanche_ssl import streams
from avalanche_ssl.data import RawDataLoader, leaf_datasets
from avalanche_ssl.data.image_cache_writer import read_index
from avalanche_ssl.streams.core50.index import (
    FRAME_COUNTS,
    OBJECTS,
    FrameIndex,
)

SIDE = 16


def ours(root: Path, scenario: str, **options: Any) -> Any:
    return streams.BENCHMARKS[f"core50-{scenario}"](root, size=SIDE, **options)


def frame_names(benchmark: Any, root: Path) -> tuple[list[list[str]], list[list[str]]]:
    """What the experiences of both streams hold, by the index next to the array."""
    names = read_index(root / f"core50-{SIDE}.json")["names"]  # type: ignore[index]
    return tuple(  # type: ignore[return-value]
        [[names[i] for i in leaf_datasets(e.dataset)[2]] for e in stream]
        for stream in (benchmark.train_stream, benchmark.test_stream)
    )


def pixels(dataset: Any) -> torch.Tensor:
    return torch.cat([x for x, *_ in RawDataLoader([dataset], [256], shuffle=False, drop_last=False)])


def full_index() -> FrameIndex:
    """As many frames in each session as the whole data set has, and about as many of each object."""
    names = [
        f"s{session}/o{thing + 1}/C_{session:02d}_{thing + 1:02d}_{number:03d}.png"
        for session, count in FRAME_COUNTS.items()
        for thing in range(OBJECTS)
        for number in range(count // OBJECTS + (thing < count % OBJECTS))
    ]
    return FrameIndex.from_names(names)
