"""The probing tasks of CORe50, which the protocols of its paper leave out."""

from __future__ import annotations

import numpy as np

from avalanche_ssl.data import Indices
from avalanche_ssl.streams.core50.index import CATEGORIES, OBJECTS, OBJECTS_PER_CATEGORY, TEST_SESSIONS, FrameIndex
from avalanche_ssl.streams.tasks import Codes, ProbingTask

Groups = dict[str, tuple[list[str], Codes]]


def probing_tasks(
    index: FrameIndex, train: list[Indices], test: list[Indices], scenario: str, labels: str
) -> list[ProbingTask]:
    """The tasks of a benchmark with these training and test frames.

    - "object" or "category", the classes of the stream, and "category" in any case, by session, object, category, and
      experience of NC;
    - "new instance": the category of objects that the probe was not fitted on, the k-th of each category in turn;
    - "background": the session of such objects, which tells how much of the background the features hold.
    """
    category, instance = index.object // OBJECTS_PER_CATEGORY, index.object % OBJECTS_PER_CATEGORY
    codes = {"object": index.object, "category": category}
    groups = _groups(index, category, train, test, scenario)
    folds = _by(instance, train), _by(instance, test)
    return [
        *(
            ProbingTask(name, _by(codes[name], train), _by(codes[name], test), groups=groups)
            for name in dict.fromkeys((labels, "category"))
        ),
        ProbingTask("new instance", _by(category, train), _by(category, test), folds=folds, groups=groups),
        ProbingTask(
            "background",
            _by(index.session, train),
            _by(index.session, train),
            on_training_images=True,
            folds=(folds[0], folds[0]),
        ),
    ]


def _groups(index: FrameIndex, category: Indices, train: list[Indices], test: list[Indices], scenario: str) -> Groups:
    """Groupings of the test frames."""
    groups: Groups = {
        "session": ([f"s{s}" for s in TEST_SESSIONS], _by(np.searchsorted(TEST_SESSIONS, index.session), test)),
        "object": ([f"o{thing + 1}" for thing in range(OBJECTS)], _by(index.object, test)),
        "category": (list(CATEGORIES), _by(category, test)),
    }
    if scenario == "nc":
        of_object = np.empty(OBJECTS, np.int64)
        for number, part in enumerate(train):
            of_object[index.object[part]] = number
        names = [f"e{number + 1}" for number in range(len(train))]
        groups["experience"] = (names, _by(of_object[index.object], test))
    return groups


def _by(values: Indices, parts: list[Indices]) -> list[Indices]:
    """The values of the frames of each experience."""
    return [values[part] for part in parts]
