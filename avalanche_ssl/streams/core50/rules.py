"""The rules by which NI, NC and NIC choose sessions and objects, as published for CORe50.

They are seeded shuffles, which numpy's legacy generator still draws: those of run r come after r others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from avalanche_ssl.streams.core50.index import OBJECTS, OBJECTS_PER_CATEGORY, TRAIN_SESSIONS

FIRST = [OBJECTS_PER_CATEGORY * category for category in range(OBJECTS // OBJECTS_PER_CATEGORY)]
"""The objects that NC and NIC begin with: one of each category."""

Unit = tuple[Sequence[int], Sequence[int]]
"""Sessions and objects of an experience."""


def new_instances(run: int) -> list[Unit]:
    """NI: one session per experience, all objects."""
    order = list(TRAIN_SESSIONS)
    shuffle = np.random.RandomState(1).shuffle
    for _ in range(run + 1):
        shuffle(order)
    return [([session], range(OBJECTS)) for session in order]


def new_classes(run: int) -> list[Unit]:
    """NC: ten objects, then five each, in all sessions: the k-th of categories 0-4, the k-th of 5-9, the next ...

    The published script rounds halves, which Python 2 rounds up, and Python 3 to even: ten objects would get lost.
    """
    later = [
        [
            OBJECTS_PER_CATEGORY * category + (number + 1) // 2
            for category in (range(5, 10) if number % 2 == 0 else range(5))
        ]
        for number in range(1, 9)
    ]
    return [(TRAIN_SESSIONS, FIRST), *((TRAIN_SESSIONS, later[i]) for i in _shuffled(8, run))]


def new_instances_and_classes(run: int) -> list[Unit]:
    """NIC: ten objects in session 1, then five each in one session; the groups are the same in all runs."""
    shuffle = np.random.RandomState(0).shuffle
    later = [thing for thing in range(OBJECTS) if thing not in FIRST]
    shuffle(later)
    units: list[Unit] = [([session], later[i : i + 5]) for session in TRAIN_SESSIONS for i in range(0, len(later), 5)]
    units += [([session], half) for session in TRAIN_SESSIONS[1:] for half in (FIRST[:5], FIRST[5:])]
    shuffle(units)
    return [(TRAIN_SESSIONS[:1], FIRST), *(units[i] for i in _shuffled(len(units), run))]


def _shuffled(n: int, run: int) -> list[int]:
    """The order of the n experiences after the first, shuffled once for each run so far."""
    order = list(range(n))
    shuffle = np.random.RandomState(1).shuffle
    for _ in range(run + 1):
        shuffle(order)
    return order


RULES: dict[str, Callable[[int], list[Unit]]] = {
    "ni": new_instances,
    "nc": new_classes,
    "nic": new_instances_and_classes,
}
