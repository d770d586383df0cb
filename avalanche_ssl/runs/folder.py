"""The folder of a run: which files a run leaves, and whether a folder may be written to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.runs.config import RunConfig

EMBEDDINGS = "embeddings"
"""Subfolder with features of a few images after each experience."""
CHECKPOINT = "checkpoint"
"""File of the newest checkpoint; the one before it is `checkpoint.previous`."""
FILES = ("config.yaml", "log.jsonl", "accuracy.csv", "curve.csv", "accuracy.png", "encoder.pt", "encoder.md")
"""Files that a run or an export leaves; of these a run that starts removes those of an earlier one."""


def default_out(config: RunConfig) -> Path:
    """The folder of a run that names none."""
    return Path(f"runs/{config.strategy_name}-{config.benchmark}-s{config.seed}")


def check_out(out: Path, overwrite: bool) -> None:
    """Find out before training whether a run may write to a folder.

    Raises:
        UsageError: another run is there, or the folder cannot be written.
    """
    try:
        if (out / "log.jsonl").exists() and not overwrite:
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


def start_folder(out: Path, config: RunConfig) -> None:
    """Remove the files of an earlier run, and write the configuration."""
    for path in [*(out / name for name in FILES), *out.glob(f"{CHECKPOINT}*")]:
        path.unlink(missing_ok=True)
    shutil.rmtree(out / EMBEDDINGS, ignore_errors=True)
    write_config(out, config)


def write_config(out: Path, config: RunConfig) -> None:
    """Write `config.yaml`."""
    import yaml

    with replacing(out / "config.yaml") as file:
        file.write(yaml.safe_dump(config.as_dict(), sort_keys=False).encode())


def remove_checkpoints(out: Path) -> None:
    """Remove the checkpoints of a finished run; its encoder is in `encoder.pt`."""
    for path in (out / CHECKPOINT, out / f"{CHECKPOINT}.previous"):
        path.unlink(missing_ok=True)


def contents(out: Path) -> list[str]:
    """Names of everything in a folder, folders with a slash."""
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in out.iterdir())
