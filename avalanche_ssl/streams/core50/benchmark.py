"""How does CORe50 become a stream?"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from avalanche.benchmarks import CLScenario

from avalanche_ssl.data.datasets import MappedDataset
from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_cache import cached_images
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.streams.benchmark import assemble
from avalanche_ssl.streams.core50.index import (
    CATEGORIES,
    INSTANCES,
    OBJECTS,
    SITE,
    TEST,
    Index,
    Indices,
    find,
    tell_difference,
)
from avalanche_ssl.streams.core50.order import EXPERIENCES, plan
from avalanche_ssl.streams.tasks import ProbingTask


def build(
    data: Path, scenario: str, run: int, size: int, labels: str, order: str, damaged: str, cache: Path | None
) -> CLScenario:
    """Find every mistake that names and numbers can show, and only then decode."""
    if scenario not in EXPERIENCES:
        raise unknown_name("scenario of CORe50", scenario, EXPERIENCES)
    if labels not in ("object", "category"):
        raise unknown_name("kind of labels", labels, ("object", "category"))
    if order not in ("shuffled", "video"):
        raise unknown_name("order", order, ("shuffled", "video"))
    if not 1 <= size <= 128:
        raise UsageError(f"CORe50 has no size={size}: give 32, 64 or 128")
    root, files = find(data, size)
    if files is None and not ((cache or root) / f"core50-{size}.npy").exists():
        raise UsageError(
            f"no core50_128x128 or core50_128x128.zip in '{data}': give --data the folder that holds it, or get it "
            f"from {SITE}"
        )
    choose = plan(root, scenario, run)
    found = cached_images(files, "core50", size, [cache] if cache else [root, *_cache(files)], damaged)
    index = Index.of(found.names)
    tell_difference(index, data)
    train = choose(index)
    test = [index.where(TEST, np.unique(index.object[part]).tolist()) for part in train]
    targets, names = _labels(index, labels)
    dataset = MappedDataset(found.path, targets)
    benchmark = assemble(dataset, train, dataset, test, names)
    benchmark.ordered = order == "video"
    benchmark.probing_tasks = _questions(index, train, test, scenario, labels)
    return benchmark


def _cache(files: ImageFiles | None) -> list[Path]:
    """Where the frames of a folder go that cannot be written."""
    if files is None:
        return []
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(base) / "avalanche-ssl" / files.fingerprint()[:12]]


def _labels(index: Index, labels: str) -> tuple[list[int], list[str]]:
    """Of each frame the class, and the names of the classes."""
    if labels == "category":
        return (index.object // INSTANCES).tolist(), list(CATEGORIES)
    names = [f"{CATEGORIES[thing // INSTANCES]}{thing % INSTANCES + 1}" for thing in range(OBJECTS)]
    return index.object.tolist(), names


def _questions(
    index: Index, train: list[Indices], test: list[Indices], scenario: str, labels: str
) -> list[ProbingTask]:
    """What the paper's protocols do not ask: see `avalanche_ssl.evaluation.tasks`.

    - objects (or categories, if these are the labels), by session, object, category, and experience of NC;
    - categories, each time of the k-th instance of each, which the probe has not met;
    - sessions of objects that the probe has not met: how much of the background the features hold.
    """
    category, instance = index.object // INSTANCES, index.object % INSTANCES

    def by(values: Indices, parts: list[Indices]) -> list[Indices]:
        return [values[part] for part in parts]

    things = [f"o{thing + 1}" for thing in range(OBJECTS)]
    groups = {
        "session": ([f"s{session}" for session in TEST], by(np.searchsorted(TEST, index.session), test)),
        "object": (things, by(index.object, test)),
        "category": (CATEGORIES, by(category, test)),
    }
    if scenario == "nc":
        of_object = np.empty(OBJECTS, np.int64)
        for number, part in enumerate(train):
            of_object[index.object[part]] = number
        groups["experience"] = ([f"e{number + 1}" for number in range(len(train))], by(of_object[index.object], test))
    folds = by(instance, train), by(instance, test)
    asked = index.object if labels == "object" else category
    return [
        ProbingTask(labels, by(asked, train), by(asked, test), groups=groups),
        *(
            [ProbingTask("category", by(category, train), by(category, test), groups=groups)]
            if labels == "object"
            else []
        ),
        ProbingTask("new instance", by(category, train), by(category, test), folds=folds, groups=groups),
        ProbingTask("background", by(index.session, train), by(index.session, train), True, (folds[0], folds[0])),
    ]
