"""The log of a run: one JSON object per line, appended and flushed, so a crash loses nothing that was written."""

import json
import math
import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging.events import Event


class Log(Protocol):
    """Where events go, see `avalanche_ssl.logging.jsonl.JSONLinesLogger`."""

    def __call__(self, event: Event) -> None:
        """Write an event."""


class Rewindable(Protocol):
    """A log that a resumed run continues from where a checkpoint left it."""

    def position(self) -> dict[str, Any]:
        """How far it has come, as plain values; on the disk."""

    def rewind(self, position: dict[str, Any]) -> None:
        """Cut off what was written after `position`."""


class JSONLinesLogger:
    """Appends events to a file.

    Args:
        path: the file; made when the first event comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: Event) -> None:
        """Append one line: the event's name and its fields; numbers that are not finite become null.

        Raises:
            UsageError: the disk is full, or refuses for another reason; no half line is left.
        """
        line = json.dumps({"event": event.event} | _finite(event.fields()), allow_nan=False)
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, before)
            raise UsageError(
                f"cannot write {self.path} ({error.strerror}): make room or get permission, then --resume"
            ) from error

    def position(self) -> dict[str, int]:
        """How far the log has come, for `rewind`: its length in bytes and their CRC-32; forced to the disk."""
        if not self.path.exists():
            return {"bytes": 0, "crc32": 0}
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            content = file.read()
        return {"bytes": len(content), "crc32": zlib.crc32(content)}

    def rewind(self, position: dict[str, int]) -> None:
        """Cut off what was written after `position`.

        Raises:
            UsageError: what was written before it has changed or is gone.
        """
        length = int(position["bytes"])
        content = self.path.read_bytes()[:length] if self.path.exists() else b""
        if len(content) < length or zlib.crc32(content) != position["crc32"]:
            raise UsageError(
                f"{self.path} is not what the checkpoint left ({length} bytes): put it back, or start again with "
                "--overwrite"
            )
        if length:
            os.truncate(self.path, length)
        else:
            self.path.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
