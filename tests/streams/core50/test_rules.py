"""The published rules give the official orders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.core50 import frame_names, full_index, ours
from helpers.fake_core50 import TRAIN

from avalanche_ssl.streams.core50.index import (
    FRAME_COUNTS,
    OBJECTS,
    TEST_SESSIONS,
    warn_unless_complete,
)
from avalanche_ssl.streams.core50.order import training_order

pytestmark = pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")


def test_no_object_is_lost_to_rounding() -> None:
    """Python 3 rounds half to even, with which the published script's NC repeats ten objects and loses ten."""
    index = full_index()
    parts = training_order(Path("nowhere"), "nc", 0)(index)
    assert len(np.unique(index.object[np.concatenate(parts)])) == OBJECTS
    assert [len(np.unique(index.object[part])) for part in parts] == [10] + [5] * 8
    halves = [sorted({o // 5 for o in index.object[part].tolist()}) for part in parts[1:]]
    assert sorted(map(tuple, halves)) == [(0, 1, 2, 3, 4)] * 4 + [(5, 6, 7, 8, 9)] * 4


def test_known_totals(recwarn: pytest.WarningsRecorder) -> None:
    """Of the whole data set, by an index of that size."""
    index = full_index()
    warn_unless_complete(index, Path("x"))
    assert not recwarn.list
    assert len(index.names) == 164_866
    for number in range(10):
        sizes = {
            name: [len(p) for p in training_order(Path("nowhere"), name, number)(index)] for name in ("ni", "nc", "nic")
        }
        assert {name: sum(found) for name, found in sizes.items()} == dict.fromkeys(sizes, 119_894)
        assert sorted(sizes["ni"]) == sorted(FRAME_COUNTS[s] for s in TRAIN)
        assert len(sizes["nc"]) == 9 and 23_970 < sizes["nc"][0] < 24_000
        assert all(11_950 < n < 12_010 for n in sizes["nc"][1:])
        assert len(sizes["nic"]) == 79 and 2_990 < sizes["nic"][0] < 3_010
    assert len(index.frames_of(TEST_SESSIONS, range(OBJECTS))) == 44_972


def test_runs_are_different_orders_of_the_same(plain: Path) -> None:
    first = [frame_names(ours(plain, "nc", run=run), plain)[0] for run in (0, 1, 9)]
    assert len({tuple(map(tuple, parts)) for parts in first}) == 3
    assert len({frozenset(map(frozenset, parts)) for parts in first}) == 1
    assert first[0][0] == first[1][0] == first[2][0]
    sessions = [parts[0][0].split("/")[0] for parts in (frame_names(ours(plain, "ni"), plain)[0],)]
    assert sessions == ["s11"]  # run 0 of the official lists
