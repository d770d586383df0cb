"""Damage of the folder of a run: wrong values in any field of its log, lines lost, doubled or out of order, bombs."""

import copy
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from avalanche_ssl.cli import report
from avalanche_ssl.logging import ConsolidationEvent, CurveEvent, ExperienceEvent
from helpers.logs import add_evidence, add_tasks, append, representation_event, write_run

NAME = r"$x_{$ <script> & \frac"
"""A name that breaks formulas, pages and LaTeX."""

SPECIAL: list[Any] = [
    *(1e400, -1e400, float("nan"), 1e308, 5e-324, -5, 60_000, 2**53, 2**200, 10**400, 0, 1, 2, 1.0, True, None),
    *("", "\ud800", "\x1b[2J\r", "\0", "\u202e", "\ufffe", "_x", "1", "x" * 3000, "x" * 5000, "a\nb", NAME, "語", "--"),
    *([1], [[]], {}, {"": ""}, {"a": {"b": "c"}}, {"\ud800": {"\ud800": 0.5}}, {str(i): 1 for i in range(2000)}),
    *({"place": {"here": value}} for value in (2, -1, None, "x", True, [], 1e400)),
    {"place": {"here": 0.5}, "": {"": 0.1}},
]

VALUES: Any = st.sampled_from(SPECIAL) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def nested(levels: int) -> Any:
    """A list in a list in ..."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def write_full_run(folder: Path, **options: Any) -> Path:
    """A run with an event of every kind."""
    add_evidence(add_tasks(write_run(folder, **options), full_test=0.7))
    point = {"images_seen": 10, "images_trained": 20, "seconds": 1.0, "experiences_trained": 1}
    numbers = {"images_trained": 8, "steps": 1, "seconds": 1.0, "images_per_second": 8.0}
    append(folder, CurveEvent(**point, probe="ridge", scope="all", accuracy=0.5))
    append(folder, ExperienceEvent(experiences_trained=1, loss=0.5, **numbers), representation_event(3, rankme=4.0))
    return append(folder, ConsolidationEvent(experiences_trained=3, accuracy=0.625, chance=0.333))


def read_lines(folder: Path) -> list[Any]:
    """The lines of a log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def write_lines(folder: Path, lines: list[Any]) -> None:
    """A log of these lines."""
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another at one place."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


def reported(folders: list[Path], out: Path) -> tuple[int, str, str]:
    """Exit status, table and page of a report, on a screen that refuses what is not UTF-8; the errors if it fails."""
    screen, errors = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict"), io.StringIO()
    with redirect_stdout(screen), redirect_stderr(errors):
        status = report.main([*map(str, folders), "--out", str(out)])
    screen.flush()
    said = screen.buffer.getvalue().decode() if status == 0 else errors.getvalue()  # type: ignore[attr-defined]
    return status, said, out.read_text(encoding="utf-8") if out.exists() else ""
