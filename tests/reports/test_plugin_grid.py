"""Strategies by plugins with what they cost, in a table and a picture, by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.logs import write_run

from avalanche_ssl.reports import figures
from avalanche_ssl.reports.plugin_grid import GRID_COLUMNS, grid_groups, grid_measures, grid_rows


def with_plugins(folder: Path, plugins: dict[str, Any], **cost: int) -> Path:
    """The run, as if it had been given plugins that cost so much more."""
    lines = []
    for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] == "run":
            event["config"]["plugins"] = plugins
        lines.append(json.dumps(event | (cost if event["event"] == "cost" else {})))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def stream(tmp_path: Path, one_stream: Any) -> Any:
    """Two strategies; one with replay of two seeds, the other with CaSSLe, and an unfinished run."""
    return one_stream(
        with_plugins(write_run(tmp_path / "a", shift=0.05), {"replay": {}}, views=400, bytes_remembered=5_000_000),
        with_plugins(write_run(tmp_path / "b", seed=1, shift=0.07), {"replay": {}}, views=400),
        write_run(tmp_path / "c"),
        write_run(tmp_path / "d", "moco"),
        with_plugins(write_run(tmp_path / "e", "moco", shift=0.05), {"cassle": {}}, teacher_views=150),
        with_plugins(write_run(tmp_path / "f", "moco", trained=2, end=False), {"pfr": {}}),
    )


def test_rows_by_strategy_the_plain_run_first(stream: Any) -> None:
    assert [(method, [group.plugins for group in each]) for method, each in grid_groups(stream)] == [
        ("cmc", ["", "replay"]),
        ("moco", ["", "cassle"]),
    ]
    found = {row.label: dict(zip(GRID_COLUMNS, map(str, row.cells))) for row in grid_rows(stream, "ridge", "all")}
    assert list(found) == ["cmc", "cmc + replay", "moco", "moco + cassle"]
    assert found["cmc + replay"] == {
        "average accuracy": "66.0",
        "forgetting (refitted probe)": "20.0",
        "views": "400",
        "teacher views": "0",
        "training s": "2",
        "bytes remembered": "5,000,000",
    }
    assert found["moco + cassle"]["teacher views"] == "150"


def test_the_picture_has_the_same_numbers_and_leaves_out_what_nobody_knows(stream: Any) -> None:
    measures = {m.title: [mean for mean, _ in m.values] for m in grid_measures(stream, "ridge", "all")}
    assert measures["accuracy (%)"] == pytest.approx([60, 66, 60, 65])
    assert measures["views (thousand)"] == pytest.approx([0.2, 0.4, 0.2, 0.35]), "those of teachers among them"
    assert measures["kept (MB)"] == pytest.approx([7e-6, 5, 7e-6, 7e-6])
    for group in stream.groups:
        group.runs[0].cost = None
    assert "kept (MB)" not in {m.title for m in grid_measures(stream, "ridge", "all")}
    url = figures.plugin_grid(stream, "ridge", "all")
    assert url and url.startswith("data:image/svg+xml")


def test_nothing_where_all_have_the_same_plugins(tmp_path: Path, one_stream: Any) -> None:
    plain = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", "moco"))
    assert grid_groups(plain) == grid_rows(plain, "ridge", "all") == []
    assert figures.plugin_grid(plain, "ridge", "all") is None
