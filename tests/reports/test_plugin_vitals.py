"""The vital signs of plugins in a report: of the last experience, mean over seeds."""

from pathlib import Path
from typing import Any

from helpers.logs import append, write_run

from avalanche_ssl.logging import RepresentationEvent
from avalanche_ssl.reports import html
from avalanche_ssl.reports.plugin_vitals import VITALS, vital_rows


def measured(folder: Path, ratio: float, **more: Any) -> Path:
    plugins = {"cla-e": {"gradient_ratio": ratio, "momentum": 0.999, "steps": 50, "teacher_norm": "batch"}} | more
    return append(
        folder, RepresentationEvent(experiences_trained=3, images_measured=8, feature_dim=16, plugins=plugins)
    )


def test_a_row_for_each_plugin(tmp_path: Path, one_stream: Any) -> None:
    replay = {"images": 2000, "age_median": 1500, "age_oldest": 9999}
    stream = one_stream(
        measured(write_run(tmp_path / "a"), 0.2, replay=replay),
        measured(write_run(tmp_path / "b", seed=1), 0.4),
        measured(write_run(tmp_path / "c", seed=2), 0.3),
    )
    rows = {row.label: dict(zip(VITALS, map(str, row.cells))) for row in vital_rows(stream)}
    assert rows["cmc: cla-e (norm batch)"] == {
        "gradient ratio": "0.3 ± 0.25",
        "momentum": "0.999",
        "steps an experience": "50",
        **dict.fromkeys(("term", "weight", "images", "median age", "oldest"), "-"),
    }
    found = rows["cmc: replay"]
    assert (found["images"], found["median age"], found["oldest"]) == ("2,000", "1,500", "9,999")
    section = html.page([stream], []).partition('id="s1-representation"')[2].partition("</details>")[0]
    assert "Plugins after the last experience" in section and "cmc: cla-e (norm batch)" in section


def test_no_row_where_no_run_logs_them(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    assert vital_rows(stream) == []
    assert "Plugins after the last experience" not in html.page([stream], [])
