"""Which frames of CORe50 come in which experience? From the official lists where they are, else by their rules.

The lists of NI, NC and NIC were made by seeded shuffles, which numpy's legacy generator still draws: those of run r
come after r others. The rules of NICv2 (Lomonaco et al. 2020, arXiv:1907.03799) were not published: its lists are
needed.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.core50.index import INSTANCES, OBJECTS, SITE, TRAIN, Index, Indices

EXPERIENCES = {"ni": 8, "nc": 9, "nic": 79, "nicv2-79": 79, "nicv2-196": 196, "nicv2-391": 391}

FOLDERS = {
    "ni": "NI_inc",
    "nc": "NC_inc",
    "nic": "NIC_inc",
    "nicv2-79": "NIC_v2_79",
    "nicv2-196": "NIC_v2_196",
    "nicv2-391": "NIC_v2_391",
}

RUNS = 10

FIRST = [INSTANCES * category for category in range(OBJECTS // INSTANCES)]
"""The objects that NC and NIC begin with: one of each category."""

Unit = tuple[Sequence[int], Sequence[int]]
"""Sessions and objects of an experience."""

Plan = Callable[[Index], list[Indices]]
"""The training frames of each experience, in video order, among all frames."""


def plan(root: Path, scenario: str, run: int) -> Plan:
    """How a scenario chooses its frames, read from `root` before anything is decoded.

    Args:
        root: the folder that may hold the official file lists (or their zip files), or pickles.
        scenario: one of `EXPERIENCES`.
        run: 0 to 9, another order of the same.

    Raises:
        UsageError: there is no such run; the lists are needed and absent, or damaged.
    """
    if not 0 <= run < RUNS:
        raise UsageError(f"CORe50 has no run={run}: give 0 to {RUNS - 1}")
    listed = _file_lists(root, scenario, run)
    if listed is None:
        listed = _pickled(root, scenario, run)
    if listed is not None:
        return partial(_found, listed=listed, what=f"{FOLDERS[scenario]}/run{run}")
    if scenario.startswith("nicv2"):
        raise UsageError(
            f"core50-{scenario} needs the official lists: put {SITE}/data/batches_filelists_NICv2.zip, extracted or "
            f"not, into '{root}' (or paths.pkl and LUP.pkl), where {FOLDERS[scenario]}/run{run} is not found"
        )
    units = RULES[scenario](run)
    return lambda index: [index.where(*unit) for unit in units]


# -- by their rules --------------------------------------------------------------------------------------------------
def _new_instances(run: int) -> list[Unit]:
    """A session each, all objects."""
    order = list(TRAIN)
    shuffle = np.random.RandomState(1).shuffle
    for _ in range(run + 1):
        shuffle(order)
    return [([session], range(OBJECTS)) for session in order]


def _new_classes(run: int) -> list[Unit]:
    """Ten objects, then five each, in all sessions: the k-th of categories 0-4, the k-th of 5-9, the next ...

    The published script rounds half a number, which Python 2 rounds up and Python 3 to even: ten objects get lost.
    """
    later = [
        [INSTANCES * category + (number + 1) // 2 for category in (range(5, 10) if number % 2 == 0 else range(5))]
        for number in range(1, 9)
    ]
    return [(TRAIN, FIRST), *((TRAIN, later[i]) for i in _shuffled(8, run))]


def _new_instances_and_classes(run: int) -> list[Unit]:
    """Ten objects in session 1, then five each in one session: who comes together is the same in all runs."""
    shuffle = np.random.RandomState(0).shuffle
    later = [thing for thing in range(OBJECTS) if thing not in FIRST]
    shuffle(later)
    units: list[Unit] = [([session], later[i : i + 5]) for session in TRAIN for i in range(0, len(later), 5)]
    units += [([session], half) for session in TRAIN[1:] for half in (FIRST[:5], FIRST[5:])]
    shuffle(units)
    return [(TRAIN[:1], FIRST), *(units[i] for i in _shuffled(len(units), run))]


def _shuffled(n: int, run: int) -> list[int]:
    """The order of the n experiences after the first, shuffled once for each run so far."""
    order = list(range(n))
    shuffle = np.random.RandomState(1).shuffle
    for _ in range(run + 1):
        shuffle(order)
    return order


RULES: dict[str, Callable[[int], list[Unit]]] = {
    "ni": _new_instances,
    "nc": _new_classes,
    "nic": _new_instances_and_classes,
}


# -- from the official lists -----------------------------------------------------------------------------------------
def _file_lists(root: Path, scenario: str, run: int) -> list[list[str]] | None:
    """The frames that train_batch_NN_filelist.txt of the run name; None if the first of these is not there."""
    folder = f"{FOLDERS[scenario]}/run{run}"
    files = [f"train_batch_{number:02d}_filelist.txt" for number in range(EXPERIENCES[scenario])]
    try:
        for parent in (root, root / "batches_filelists", root / "batches_filelists_NICv2"):
            if (parent / folder / files[0]).exists():
                return [_names((parent / folder / file).read_text(encoding="ascii")) for file in files]
        for path in (root / "batches_filelists_NICv2.zip", root / "batches_filelists.zip"):
            if path.exists():
                with ZipFile(path) as archive:
                    inside = {name.split(folder)[-1][1:]: name for name in archive.namelist() if folder + "/" in name}
                    if files[0] in inside:
                        return [_names(archive.read(inside[file]).decode("ascii")) for file in files]
    except (OSError, KeyError, BadZipFile, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"the file lists of {folder} are damaged ({reason}): get them anew from {SITE}") from error
    return None


def _names(text: str) -> list[str]:
    """The first column."""
    return [line.split()[0] for line in text.splitlines() if line.strip()]


class _Plain(pickle.Unpickler):
    """Reads lists, mappings, numbers and texts; anything else, which might run code, is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _pickled(root: Path, scenario: str, run: int) -> list[list[str]] | None:
    """The frames that LUP.pkl names by their places in paths.pkl; None if these are not there."""
    if not all((root / name).exists() for name in ("paths.pkl", "LUP.pkl")):
        return None
    try:
        with (root / "paths.pkl").open("rb") as paths_file, (root / "LUP.pkl").open("rb") as table_file:
            paths, table = _Plain(paths_file).load(), _Plain(table_file).load()
        runs = table.get(scenario.replace("-", "_"))
        if runs is None:
            return None
        return [[paths[i] for i in part] for part in runs[run][: EXPERIENCES[scenario]]]
    except Exception as error:  # a damaged pickle raises anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"paths.pkl and LUP.pkl in '{root}' are damaged ({reason}): get them from {SITE}") from error


def _found(index: Index, listed: Sequence[Sequence[str]], what: str) -> list[Indices]:
    """Where the named frames are; those that are not are left out, and told."""
    place = {name: i for i, name in enumerate(index.names)}
    parts = [np.array([place[name] for name in names if name in place], np.int64) for names in listed]
    empty = next((number for number, part in enumerate(parts) if not len(part)), None)
    if empty is not None:
        raise UsageError(f"no frame of experience {empty + 1} in {what} is there: the lists are of other images")
    lost = sum(map(len, listed)) - sum(map(len, parts))
    if lost:
        warnings.warn(f"{lost:,} frames that the lists of {what} name are not there: left out", stacklevel=2)
    return parts
