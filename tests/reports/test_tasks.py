"""Results of probing tasks over the stream, and their latest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.logs import add_tasks, write_run

from avalanche_ssl.reports import tasks


def test_the_curve_of_a_task_by_hand(tmp_path: Path, one_stream: Any) -> None:
    folders = [add_tasks(write_run(tmp_path / f"a{s}", seed=s), accuracy=0.5 + 0.2 * s) for s in range(2)]
    steps, accuracies = tasks.task_curve(one_stream(*folders).groups[0], "kind")
    assert steps == [0, 2, 3]
    np.testing.assert_allclose(accuracies, [[0.5, 0.6, 0.65], [0.7, 0.8, 0.85]])


def test_the_curve_is_of_what_all_runs_have(tmp_path: Path, one_stream: Any) -> None:
    folders = [
        add_tasks(write_run(tmp_path / "a")),
        add_tasks(write_run(tmp_path / "b", seed=1), trained=(0, 1, 3)),
        write_run(tmp_path / "c", seed=2),
    ]
    assert tasks.task_curve(one_stream(*folders).groups[0], "kind")[0] == [0, 3]
    assert tasks.task_curve(one_stream(folders[2]).groups[0], "kind")[0] == []


def test_the_latest_results(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(add_tasks(write_run(tmp_path / "a"), full_test=0.7))
    found = tasks.latest_tasks(stream)
    assert found and found.full_test_set and found.test_set == "last encoder on all test images"
    assert (found.groups, found.probing_tasks) == (["place here", "place there"], ["kind", "<scene>"])
    assert found.chance == {"kind": 0.25, "<scene>": 0.125}
    ((latest,),) = found.latest
    assert latest["kind"] == 0.7
    assert latest["<scene>"] == pytest.approx(0.4), "of which there is no result on all test images"
    assert tasks.latest_tasks(one_stream(write_run(tmp_path / "b"))) is None
