"""The checkpoint file: written whole or not at all, and read without running code.

It is a line of magic, the state as `torch.save` writes it, and the SHA-256 of both. It is written next to its final
place, forced to the disk and renamed, and the file it replaces is kept as the previous one: a crash at any moment
leaves at least one intact file. Only tensors, numbers, strings and their containers are read; a pickle that asks for
anything else is refused before any of it runs.
"""

import hashlib
import io
import warnings
from pathlib import Path
from typing import IO, Any

import torch

from avalanche_ssl.checkpointing.signals import interrupts_deferred
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

State = dict[str, Any]
"""Names to tensors, numbers, strings, None, and dicts, lists, tuples of them."""

MAGIC = b"avalanche-ssl checkpoint\n"

VERSION = 4
"""Version of the state; raised when older files can no longer be read."""

_DIGEST = hashlib.sha256().digest_size


class DamagedError(UsageError):
    """A checkpoint file is not what was written."""


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(path.name + ".previous")


def write(path: Path, state: State) -> None:
    """Replace the checkpoint at `path`, and keep the replaced file as `previous(path)`.

    Raises:
        UsageError: the disk is full, or refuses for another reason; `latest` finds what it found before.
    """
    with interrupts_deferred(), replacing(path, keep=previous(path)) as file:
        sink = HashingWriter(file)
        sink.write(MAGIC)
        torch.save(state | {"version": VERSION}, sink)  # type: ignore[arg-type]
        if sink.error:
            raise sink.error
        file.write(sink.hash.digest())


def read(path: Path) -> State:
    """The state in the file at `path`, tensors on the CPU.

    Raises:
        DamagedError: the file is no checkpoint, or damaged.
        UsageError: the file cannot be read, is of another version, or holds more than tensors and plain values.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    body = memoryview(content)[:-_DIGEST]
    if not content.startswith(MAGIC) or hashlib.sha256(body).digest() != content[-_DIGEST:]:
        raise DamagedError(f"the checkpoint {path} is damaged, or no checkpoint at all")
    try:
        state = torch.load(io.BytesIO(body[len(MAGIC) :]), map_location="cpu", weights_only=True)
    except Exception as error:  # what the unpickler raises for an untrusted file is not documented
        raise UsageError(
            f"the checkpoint {path} holds more than tensors and plain values and was not loaded: "
            "it was not written by avalanche-ssl"
        ) from error
    version = state.get("version") if isinstance(state, dict) else None
    if version != VERSION:
        raise UsageError(
            f"the checkpoint {path} is of version {version}, this avalanche-ssl reads {VERSION}: continue with the one "
            "that wrote it, or start again with --overwrite"
        )
    return {str(name): value for name, value in state.items()}


def latest(path: Path) -> State | None:
    """The newest intact state; None if none was ever written.

    A damaged file is set aside as `PATH.damaged`, with a warning, and the previous one is read.

    Raises:
        UsageError: there are files but none is intact, or one is refused, see `read`.
    """
    damaged: list[Path] = []
    for candidate in (path, previous(path)):
        if not candidate.exists():
            continue
        try:
            state = read(candidate)
        except DamagedError:
            damaged.append(candidate)
            continue
        for broken in damaged:
            aside = broken.with_name(broken.name + ".damaged")
            broken.replace(aside)
            warnings.warn(f"the checkpoint {broken} was damaged (now {aside}): the one before it is used", stacklevel=2)
        return state
    if damaged:
        names = " and ".join(str(p) for p in damaged)
        raise DamagedError(f"no intact checkpoint: {names} damaged; restore a copy, or start again with --overwrite")
    return None


class HashingWriter:
    """Writes to a file and hashes what is written; keeps the first error, which torch's writer must not see."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of the bytes, or none after an error."""
        self.hash.update(data)
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is flushed at the end."""
