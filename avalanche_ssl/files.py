"""Write files whole or not at all, and lock folders against other processes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from avalanche_ssl.errors import UsageError


def split_paths(text: str | Path) -> list[str]:
    """The paths that a text joins with the system's separator (`A:B`, on Windows `A;B`); one that exists is whole."""
    if os.path.exists(Path(text).expanduser()):
        return [str(text)]
    return [path for path in str(text).split(os.pathsep) if path] or [str(text)]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


@contextmanager
def replacing(path: Path, keep: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block ends well; a crash before leaves `path` as it was.

    Args:
        path: the file to be replaced.
        keep: where the replaced file is kept; None drops it.

    Raises:
        UsageError: the disk is full, or refuses for another reason.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep and path.exists():
            os.replace(path, keep)
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(
                f"cannot write {path} ({error.strerror or error}): make room or get permission, then --resume"
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, on systems that can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, or refuse if another process has locked it; the lock ends with this process at the latest.

    Raises:
        UsageError: another process holds the lock.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of the process: loader processes do not inherit it
        except OSError as error:
            raise UsageError(f"{folder} is in use by process {_holder(file)}: give another --out, or wait") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.readline().strip() or "unknown"


@contextmanager
def locked_when_free(folder: Path) -> Iterator[None]:
    """Wait until no other process holds this lock on a folder, and hold it; where there are no locks, go on at once.

    It leaves no file in the folder, and is independent of the lock of `locked`.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # no such locks on this system
        yield
        return
    try:
        with suppress(OSError):  # nor on this file system
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a file of `most` bytes at most; of a named pipe or a device nothing is read.

    Raises:
        ValueError: the file cannot be read; why, in words that follow the file's name.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no file")
        if status.st_size > most:
            raise ValueError(f"has {status.st_size / 2**20:,.0f} MiB, more than the {most / 2**20:,.0f} of any run")
        with path.open("rb") as file:
            return file.read(status.st_size)
    except OSError as error:
        raise ValueError(error.strerror or type(error).__name__) from error
