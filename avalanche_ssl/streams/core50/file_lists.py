"""The official lists of the frames of each experience: text files, or the pickles that Avalanche reads."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.core50.index import SITE

EXPERIENCES = {"ni": 8, "nc": 9, "nic": 79, "nicv2-79": 79, "nicv2-196": 196, "nicv2-391": 391}

FOLDERS = {
    "ni": "NI_inc",
    "nc": "NC_inc",
    "nic": "NIC_inc",
    "nicv2-79": "NIC_v2_79",
    "nicv2-196": "NIC_v2_196",
    "nicv2-391": "NIC_v2_391",
}


def read_frame_lists(root: Path, scenario: str, run: int) -> list[list[str]] | None:
    """The names of the frames of each experience; None if `root` has no lists of this scenario and run.

    Raises:
        UsageError: the lists are damaged.
    """
    listed = _from_text_files(root, scenario, run)
    return _from_pickles(root, scenario, run) if listed is None else listed


def _from_text_files(root: Path, scenario: str, run: int) -> list[list[str]] | None:
    """The frames in train_batch_NN_filelist.txt of the run; None if the first of these files is not there."""
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
        raise UsageError(f"the file lists of {folder} are damaged ({reason}): get them again from {SITE}") from error
    return None


def _names(text: str) -> list[str]:
    """The first column."""
    return [line.split()[0] for line in text.splitlines() if line.strip()]


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists, mappings, numbers and strings; refuses anything else, which might run code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _from_pickles(root: Path, scenario: str, run: int) -> list[list[str]] | None:
    """The frames that LUP.pkl lists by their positions in paths.pkl; None if these files are not there."""
    if not all((root / name).exists() for name in ("paths.pkl", "LUP.pkl")):
        return None
    try:
        with (root / "paths.pkl").open("rb") as paths_file, (root / "LUP.pkl").open("rb") as table_file:
            paths, table = _PlainUnpickler(paths_file).load(), _PlainUnpickler(table_file).load()
        runs = table.get(scenario.replace("-", "_"))
        if runs is None:
            return None
        return [[paths[i] for i in part] for part in runs[run][: EXPERIENCES[scenario]]]
    except Exception as error:  # a damaged pickle raises anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"paths.pkl and LUP.pkl in '{root}' are damaged ({reason}): get them from {SITE}") from error
