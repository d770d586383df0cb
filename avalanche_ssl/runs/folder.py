"""The folder of a run: its files, and whether it may be written."""

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

FOLDER = "embeddings"
"""Of the files that hold features, in the folder of a run."""


def _out(options: argparse.Namespace, config: dict[str, Any]) -> Path:
    """The run's folder."""
    if options.out:
        return Path(options.out)
    return Path(f"runs/{Path(config['strategy']).stem}-{config['benchmark']}-s{config['seed']}")


def _check_out(out: Path, overwrite: bool) -> None:
    """Refuse to write over another run, and find out now whether the folder can be written."""
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


FILES = ("config.yaml", "log.jsonl", "accuracy.csv", "points.csv", "accuracy.png", "encoder.pt")


def _open(out: Path, config: dict[str, Any]) -> None:
    """Clear the run's folder of the files of an earlier run, and write the configuration."""
    for path in [*(out / name for name in (*FILES, "encoder.md")), *out.glob("checkpoint*")]:
        path.unlink(missing_ok=True)
    shutil.rmtree(out / FOLDER, ignore_errors=True)
    with replacing(out / "config.yaml") as file:
        file.write(yaml.safe_dump(config, sort_keys=False).encode())
