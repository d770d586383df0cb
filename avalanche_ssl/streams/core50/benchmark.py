"""CORe50 as a benchmark of cached frames."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from avalanche.benchmarks import CLScenario

from avalanche_ssl.data import ImageFiles, MappedDataset, cached_images
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.core50.file_lists import EXPERIENCES
from avalanche_ssl.streams.core50.index import (
    CATEGORIES,
    OBJECTS,
    OBJECTS_PER_CATEGORY,
    SITE,
    TEST_SESSIONS,
    FrameIndex,
    find_frames,
    warn_unless_complete,
)
from avalanche_ssl.streams.core50.order import training_order
from avalanche_ssl.streams.core50.tasks import probing_tasks


def core50_benchmark(
    data: Path, scenario: str, run: int, size: int, labels: str, order: str, damaged: str, cache: Path | None
) -> CLScenario:
    """The stream of a scenario; files and options are checked before frames are decoded."""
    if scenario not in EXPERIENCES:
        raise unknown_name("scenario of CORe50", scenario, EXPERIENCES)
    if labels not in ("object", "category"):
        raise unknown_name("kind of labels", labels, ("object", "category"))
    if order not in ("shuffled", "video"):
        raise unknown_name("order", order, ("shuffled", "video"))
    if not 1 <= size <= 128:
        raise UsageError(f"CORe50 has no size={size}: give 32, 64 or 128")
    root, files = find_frames(data, size)
    if files is None and not ((cache or root) / f"core50-{size}.npy").exists():
        raise UsageError(
            f"no core50_128x128 or core50_128x128.zip in '{data}': give --data the folder that holds it, or get it "
            f"from {SITE}"
        )
    training_frames = training_order(root, scenario, run)
    found = cached_images(files, "core50", size, [cache] if cache else [root, *_cache_folder(files)], damaged)
    index = FrameIndex.from_names(found.names)
    warn_unless_complete(index, data)
    train = training_frames(index)
    test = [index.frames_of(TEST_SESSIONS, np.unique(index.object[part]).tolist()) for part in train]
    targets, names = _labels(index, labels)
    dataset = MappedDataset(found.path, targets)
    videos = OBJECTS * index.session + index.object
    benchmark = benchmark_from_parts(dataset, train, dataset, test, names, videos)
    benchmark.ordered = order == "video"
    benchmark.probing_tasks = probing_tasks(index, train, test, scenario, labels)
    return benchmark


def _cache_folder(files: ImageFiles | None) -> list[Path]:
    """Where the frames of a folder go that cannot be written."""
    if files is None:
        return []
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(base) / "avalanche-ssl" / files.fingerprint()[:12]]


def _labels(index: FrameIndex, labels: str) -> tuple[list[int], list[str]]:
    """The class of each frame, and the names of the classes."""
    if labels == "category":
        return (index.object // OBJECTS_PER_CATEGORY).tolist(), list(CATEGORIES)
    names = [
        f"{CATEGORIES[thing // OBJECTS_PER_CATEGORY]}{thing % OBJECTS_PER_CATEGORY + 1}" for thing in range(OBJECTS)
    ]
    return index.object.tolist(), names
