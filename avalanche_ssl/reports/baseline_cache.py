"""A cache of baseline accuracies: one JSON file per baseline, whose name has a hash of every setting that matters."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import read_bounded, replacing

ProtocolAccuracies = dict[tuple[str, str], NDArray[np.float64]]
"""Accuracies (T,) by probe and scope."""

MAX_BYTES = 2**24
"""Of a file of the cache."""


@dataclass(frozen=True)
class CacheEntry:
    """The file of one baseline.

    Args:
        path: the file.
        key: all settings that matter, and the version of the package.
    """

    path: Path
    key: dict[str, Any]

    @classmethod
    def of(cls, folder: Path, kind: str, settings: Mapping[str, Any]) -> CacheEntry:
        """The entry of a kind of baseline with some settings in a folder."""
        values = {"version": version("avalanche-ssl")} | dict(settings)
        key = json.loads(json.dumps(values, default=str))
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return cls(folder / f"{kind}-{digest[:16]}.json", key)

    def read(self) -> ProtocolAccuracies | None:
        """The accuracies; None if there is no file, or it is damaged or of other settings."""
        try:
            content = json.loads(read_bounded(self.path, MAX_BYTES))
            rows = {(str(r["probe"]), str(r["scope"])): np.array(r["accuracies"], np.float64) for r in content["rows"]}
            plausible = all(row.ndim == 1 and not ((row < 0) | (row > 1)).any() for row in rows.values())
            return rows if content["key"] == self.key and rows and plausible else None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def write(self, accuracies: ProtocolAccuracies) -> None:
        """Write the file.

        Raises:
            UsageError: it cannot be written.
        """
        rows = [
            {"probe": probe, "scope": scope, "accuracies": [None if math.isnan(a) else a for a in row.tolist()]}
            for (probe, scope), row in accuracies.items()
        ]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as file:
                file.write(json.dumps({"key": self.key, "rows": rows}, indent=1).encode())
        except OSError as error:
            raise UsageError(f"cannot write {self.path} ({error.strerror}): give another --cache") from error
