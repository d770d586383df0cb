"""The training frames of each experience: from the official lists where they are, else by the published rules.

The rules of NICv2 (Lomonaco et al. 2020, arXiv:1907.03799) were not published: its lists are needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from avalanche_ssl.data import Indices
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.core50.file_lists import FOLDERS, read_frame_lists
from avalanche_ssl.streams.core50.index import SITE, FrameIndex
from avalanche_ssl.streams.core50.rules import RULES

RUNS = 10

TrainingOrder = Callable[[FrameIndex], list[Indices]]
"""The positions of the training frames of each experience, in video order, among all frames."""


def training_order(root: Path, scenario: str, run: int) -> TrainingOrder:
    """The order of a scenario, read before anything is decoded.

    Args:
        root: the folder that may hold the official file lists (or their zip files), or pickles.
        scenario: one of `EXPERIENCES`.
        run: 0 to 9, another order of the same experiences.

    Raises:
        UsageError: there is no such run; the lists are needed and absent, or damaged.
    """
    if not 0 <= run < RUNS:
        raise UsageError(f"CORe50 has no run={run}: give 0 to {RUNS - 1}")
    listed = read_frame_lists(root, scenario, run)
    if listed is not None:
        return partial(_positions, listed=listed, lists=f"{FOLDERS[scenario]}/run{run}")
    if scenario.startswith("nicv2"):
        raise UsageError(
            f"core50-{scenario} needs the official lists: put {SITE}/data/batches_filelists_NICv2.zip, extracted or "
            f"not, into '{root}' (or paths.pkl and LUP.pkl), where {FOLDERS[scenario]}/run{run} is not found"
        )
    units = RULES[scenario](run)
    return lambda index: [index.frames_of(*unit) for unit in units]


def _positions(index: FrameIndex, listed: Sequence[Sequence[str]], lists: str) -> list[Indices]:
    """The positions of the listed frames; a warning says how many are not there."""
    place = {name: i for i, name in enumerate(index.names)}
    parts = [np.array([place[name] for name in names if name in place], np.int64) for names in listed]
    empty = next((number for number, part in enumerate(parts) if not len(part)), None)
    if empty is not None:
        raise UsageError(f"no frame of experience {empty + 1} in {lists} is there: the lists are of other images")
    lost = sum(map(len, listed)) - sum(map(len, parts))
    if lost:
        warnings.warn(f"{lost:,} frames that the lists of {lists} name are not there: left out", stacklevel=2)
    return parts
