"""The log of a run: one JSON object a line, appended and flushed, so a crash loses nothing that was written."""

import json
import math
from pathlib import Path
from typing import Any


class JsonLog:
    """Appends events to a file.

    Args:
        path: the file; made when the first event comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: str, **fields: Any) -> None:
        """Append one line: the event's name and its fields; numbers that are not finite become null."""
        line = json.dumps({"event": event} | _finite(fields), allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
