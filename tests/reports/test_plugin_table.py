"""Strategies by plugins: every group in its cell, the best marked, the others tested against it."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.logs import write_run
from scipy.stats import ttest_rel

from avalanche_ssl.reports.plugin_table import plugin_tables


def with_replay(folder: Path, size: int = 200) -> Path:
    """The run, as if it had been given a replay memory."""
    first, *rest = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    event = json.loads(first)
    event["config"]["plugins"] = {"replay": {"size": size}}
    (folder / "log.jsonl").write_text("\n".join([json.dumps(event), *rest]) + "\n", encoding="utf-8")
    return folder


def test_best_cells_and_tests_by_hand(tmp_path: Path, one_stream: Any) -> None:
    shifts = {"cmc": (0.0, 0.01, 0.03), "moco": (0.02, 0.04, 0.03)}
    replayed = {"cmc": (0.02, 0.05, 0.04), "moco": (0.07, 0.1, 0.08)}
    folders = [write_run(tmp_path / f"{m}{s}", m, s, x) for m, each in shifts.items() for s, x in enumerate(each)]
    folders += [
        with_replay(write_run(tmp_path / f"{m}r{s}", m, s, x))
        for m, each in replayed.items()
        for s, x in enumerate(each)
    ]
    stream = one_stream(*folders)
    assert stream.labels == ["cmc", "moco", "cmc + replay", "moco + replay"]
    accuracy, forgetting = plugin_tables(stream, "ridge", "all")
    assert (accuracy.metric, accuracy.columns) == ("average accuracy", ["no plugin", "replay"])
    assert [row.label for row in accuracy.rows] == ["cmc", "moco"]
    cells = [cell for row in accuracy.rows for cell in row.cells]
    assert [cell.mean for cell in cells] == ["61.3", "63.7", "63.0", "68.3"]
    assert [cell.best for cell in cells] == [False, False, False, True]
    others = [shifts["cmc"], replayed["cmc"], shifts["moco"]]
    raw = [float(ttest_rel(values, replayed["moco"]).pvalue) for values in others]
    ranked = sorted(raw)
    corrected = [max((3 - r) * ranked[r] for r in range(ranked.index(p) + 1)) for p in raw]
    assert [float(cell.note.removeprefix("p = ")) for cell in cells[:3]] == pytest.approx(corrected, abs=6e-4)
    assert cells[3].note == "" and all(cell.best for row in forgetting.rows for cell in row.cells), "all forget alike"


def test_an_unfinished_group_is_shown_in_its_own_row_and_is_not_the_best(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(
        write_run(tmp_path / "a"),
        with_replay(write_run(tmp_path / "b", shift=0.05)),
        with_replay(write_run(tmp_path / "c", "moco", shift=0.2, trained=2, end=False)),
    )
    accuracy, _ = plugin_tables(stream, "ridge", "all")
    assert [row.label for row in accuracy.rows] == ["cmc", "moco (2 of 3 experiences)"]
    assert [[cell.best for cell in row.cells] for row in accuracy.rows] == [[False, True], [False, False]]
    assert accuracy.rows[1].cells[0].mean == "", "no such run"


def test_no_table_where_all_were_trained_with_the_same_plugins(tmp_path: Path, one_stream: Any) -> None:
    assert plugin_tables(one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", "moco")), "ridge", "all") == []
