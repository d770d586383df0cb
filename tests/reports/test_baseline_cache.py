"""The cache of baselines gives back what was written, or nothing."""

from pathlib import Path

import numpy as np
import pytest

from avalanche_ssl import __version__
from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.baseline_cache import CacheEntry

ROWS = {("ridge", "all"): np.array([0.5, np.nan]), ("knn-20", "task"): np.array([0.25, 1.0])}
SETTINGS = {"size": 8, "data": Path("photos")}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    entry = CacheEntry.of(tmp_path / "a" / "b", "pixels", SETTINGS)
    assert entry.read() is None
    entry.write(ROWS)
    found = CacheEntry.of(tmp_path / "a" / "b", "pixels", SETTINGS).read()
    assert found and found.keys() == ROWS.keys()
    for key, row in ROWS.items():
        np.testing.assert_array_equal(found[key], row)


def test_the_name_is_of_kind_settings_and_version(tmp_path: Path) -> None:
    entry = CacheEntry.of(tmp_path, "pixels", SETTINGS)
    assert entry.path.parent == tmp_path and entry.path.name.startswith("pixels-")
    assert entry.key == {"version": __version__, "size": 8, "data": "photos"}
    other = CacheEntry.of(tmp_path, "pixels", SETTINGS | {"size": 9})
    assert other.path != entry.path == CacheEntry.of(tmp_path, "pixels", dict(reversed(SETTINGS.items()))).path


def test_a_damaged_file_is_not_read(tmp_path: Path) -> None:
    entry = CacheEntry.of(tmp_path, "pixels", SETTINGS)
    entry.write(ROWS)
    good = entry.path.read_text()
    changed = [good.replace('"rows"', '"lines"'), good.replace('"size": 8', '"size": 9'), good.replace("0.5", "1e400")]
    for broken in ("", good[:50], "[]", "[" * 100_000, good.replace("0.5", '{"a": 1}'), *changed):
        entry.path.write_text(broken)
        assert entry.read() is None
    entry.write(ROWS)
    assert entry.path.read_text() == good


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="give another --cache"):
        CacheEntry.of(tmp_path / "file" / "b", "pixels", SETTINGS).write(ROWS)
