"""What tests do in the processes of `crashes.process`, which find it by name."""

from __future__ import annotations

import warnings
from pathlib import Path

from crashes.process import _write_half, die_at

from avalanche_ssl.checkpointing import file_format
from avalanche_ssl.cli import run
from avalanche_ssl.runs.embeddings import EmbeddingSnapshots


def print_arguments() -> None:
    """Exchange the command for one that prints its arguments and ends with status 3."""

    def main(arguments: list[str] | None = None) -> int:
        print("arguments:", *arguments or ())
        return 3

    run.main = main


def die_in_command(call: int) -> None:
    """Die in a call of that command."""
    print_arguments()
    die_at(run, "main", call)


class Sink:
    """Something with a file."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def write(self, data: bytes) -> None:
        self.file.write(data)


def write_half(path: Path) -> None:
    """Die when half of eight bytes is written."""
    die_at(Sink, "write", 1, _write_half)
    Sink(path).write(b"12345678")


def fill_disk(place: str, limit: int) -> None:
    """Allow files of half the size only, so that a run meets it in its log, its checkpoint or its embeddings."""
    import resource

    warnings.showwarning = lambda *_, **__: None  # the limit is on the output, too
    if place == "log":
        file_format.write = lambda *_: None  # type: ignore[assignment]
    if place != "embeddings":
        for name in ("_write_images", "save"):
            setattr(EmbeddingSnapshots, name, lambda *_: None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit // 2, resource.RLIM_INFINITY))
