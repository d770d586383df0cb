"""Comparison of two runs, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avalanche_ssl.checkpointing import file_format
from avalanche_ssl.checks.snapshot import equal

TIMES = ("seconds", "images_per_second", *(f"{n}_seconds" for n in ("train", "checkpoint", "probe", "import", "data")))
"""Entries of the log that are no part of the result."""


def differences(one: Path, other: Path) -> list[str]:
    """Names of what differs between two finished runs, given their folders."""
    first, second = (file_format.read(path / "checkpoint") for path in (one, other))
    found = compare(first["strategy"], second["strategy"])
    found += [n for n in ("accuracy.csv", "correct.json") if (one / n).read_bytes() != (other / n).read_bytes()]
    if log_of(one) != log_of(other):
        found.append("log.jsonl")
    return found


def compare(a: Any, b: Any, name: str = "") -> list[str]:
    """Names of the entries that differ in any bit, times aside."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in sorted(a.keys() | b.keys(), key=str) for d in compare(a.get(k), b.get(k), f"{name}.{k}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in compare(x, y, f"{name}[{i}]")]
    is_time = name.rpartition(".")[2] in (*TIMES, "running", "_here_seconds")
    is_time |= ".counts[" in name and isinstance(a, float)
    return [] if is_time or equal(a, b) else [name]


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Lines of the log without their times, and without the commit, which may be made meanwhile."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in event.items() if name not in (*TIMES, "commit")} for event in events]
