"""The folder of a run: which files a run leaves, and whether a folder may be written to.

A folder belongs to a run if it holds `MARKER`; in any other a run writes only if it is empty or new. A run that starts
removes files of an earlier one by their names, and no others.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.logging import HPARAMS, event_files
from avalanche_ssl.runs.config import RunConfig

MARKER = ".avalanche-ssl-run"
"""File that says that a folder belongs to a run."""
EMBEDDINGS = "embeddings"
"""Subfolder with features of a few images after each experience."""
FOLDERS = (EMBEDDINGS, HPARAMS)
CHECKPOINT = "checkpoint"
"""File of the newest checkpoint; the one before it is `checkpoint.previous`."""
PREVIOUS = "checkpoint.previous"
FILES = (
    "config.yaml",
    "log.jsonl",
    "accuracy.csv",
    "curve.csv",
    "accuracy.png",
    "correct.json",
    "encoder.pt",
    "encoder.pt.md",
)
"""Files that a run or an export leaves, besides checkpoints and embeddings."""


def default_out(config: RunConfig) -> Path:
    """The folder of a run that names none."""
    name = f"{config.name}-{config.benchmark}-s{config.seed}"
    name += "" if config.stream_seed in (None, config.seed) else f"-stream{config.stream_seed}"
    name += "" if config.eval_on == "test" else f"-{config.eval_on.replace(':', '')}"
    return Path(f"runs/{name}{'-continued' if config.continue_from else ''}")


def check_out(out: Path, overwrite: bool) -> None:
    """Find out before training whether a run may write to a folder.

    Raises:
        UsageError: another run or something else is there, or the folder cannot be written.
    """
    try:
        _check_owner(out)
        if (out / "log.jsonl").exists() and not overwrite:
            if not is_finished(out) and any((out / name).exists() for name in (CHECKPOINT, PREVIOUS)):
                raise UsageError(
                    f"{out} holds a run that is not finished: give --resume to continue it, another --out, or "
                    "--overwrite to replace it"
                )
            raise UsageError(f"{out} already holds a run: give another --out, or --overwrite to replace it")
        parent = next(p for p in (out, *out.absolute().parents) if p.exists())
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): give another --out") from error
    if not parent.is_dir():
        raise UsageError(f"{parent} is a file: give another --out")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"no permission to write in {parent}: give another --out")


def is_finished(out: Path) -> bool:
    """Whether the log in a folder ends with the event `end`."""
    try:
        lines = (out / "log.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return bool(lines) and lines[-1].startswith('{"event": "end"')


def encoder_file(folder: Path) -> Path:
    """The weights of the encoder in the folder of a run, written after each experience.

    Raises:
        UsageError: there are none yet.
    """
    if not (path := folder / "encoder.pt").exists():
        raise UsageError(f"no {path}: the run is not over; finish it with run --resume --out {folder}")
    return path


def claim(out: Path) -> None:
    """Make a folder that belongs to a run, or see that it does.

    Raises:
        UsageError: it holds other files.
        OSError: it cannot be made.
    """
    _check_owner(out)
    out.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (out / MARKER).open("x", encoding="utf-8") as file:
        file.write("A folder of avalanche-ssl run: --overwrite replaces the files of the run in it, and no others.\n")


def _check_owner(out: Path) -> None:
    """Refuse a folder that holds files and belongs to no run, or one in which a run would write through a link."""
    if not out.is_dir():
        return
    if not (out / MARKER).is_file() and any(out.iterdir()):
        raise UsageError(f"{out} holds files, but no {MARKER} as a run leaves it: give another --out, empty or new")
    for path in [out / MARKER, out / "lock", *(out / name for name in FOLDERS), *_files(out)]:
        if path.is_symlink():
            raise UsageError(f"{path} is a symbolic link, which no run makes: remove it, or give another --out")


def _files(out: Path) -> list[Path]:
    """Where a run writes in its folder, with the parts that a killed process leaves."""
    paths = [out / name for name in (*FILES, CHECKPOINT, PREVIOUS)]
    with suppress(FileNotFoundError, NotADirectoryError):
        names = {path.name.removesuffix(".part") for path in (out / EMBEDDINGS).iterdir()}
        paths += [out / EMBEDDINGS / name for name in names if re.fullmatch(r"images\.npz|[0-9]{3,}\.npy", name)]
    paths += event_files(out)
    return [*paths, *(path.with_name(f"{path.name}.part") for path in paths)]


def start_folder(out: Path, config: RunConfig) -> None:
    """Remove the files of an earlier run, and write the configuration."""
    for path in _files(out):
        path.unlink(missing_ok=True)
    for name in FOLDERS:
        with suppress(OSError):  # it is not there, or holds other files
            (out / name).rmdir()
    write_config(out, config)


def write_config(out: Path, config: RunConfig) -> None:
    """Write `config.yaml`."""
    import yaml

    with replacing(out / "config.yaml") as file:
        file.write(yaml.safe_dump(config.as_dict(), sort_keys=False).encode())


def remove_checkpoints(out: Path) -> None:
    """Remove the checkpoints of a finished run; its encoder is in `encoder.pt`."""
    for path in (out / CHECKPOINT, out / PREVIOUS):
        path.unlink(missing_ok=True)


def contents(out: Path) -> list[str]:
    """Names of everything in a folder, folders with a slash."""
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in out.iterdir())
