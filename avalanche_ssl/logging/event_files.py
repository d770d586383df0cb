"""TensorBoard's event files in the folder of a run: their names, and how a resumed run continues them."""

import os
from collections.abc import Mapping
from pathlib import Path

HPARAMS = "hparams"
"""Subfolder of the view of hyperparameters, whose metrics are those in it alone."""
EVENT_FILES = "events.out.tfevents.*"
"""Names of event files."""


def event_files(folder: Path) -> list[Path]:
    """The event files of a run, those of its hyperparameters included."""
    return sorted([*folder.glob(EVENT_FILES), *(folder / HPARAMS).glob(EVENT_FILES)])


def event_file_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each event file of the training by name; forced to the disk."""
    found = {}
    for path in folder.glob(EVENT_FILES):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            found[path.name] = os.fstat(file.fileno()).st_size
    return found


def cut_event_files(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut event files of the training back to such sizes, and remove those that came later."""
    for path in folder.glob(EVENT_FILES):
        if size := sizes.get(path.name, 0):
            os.truncate(path, min(size, path.stat().st_size))
        else:
            path.unlink()
