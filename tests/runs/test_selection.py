"""What is chosen among trials, and the files that tell of it."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.logs import R, write_run

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.selection import Selection, Trial, best, ranges, validation_accuracy

NAN = math.nan
TRIALS = {
    "simclr": [
        Trial(("lr=0.1", "t=1"), {"7": 0.5, "8": 0.6}),
        Trial(("lr=0.2", "t=1"), {"7": 0.9, "8": NAN}),
        Trial(("lr=0.1", "t=2"), {"7": 0.7, "8": 0.6}),
    ],
    "cmc": [
        Trial((), {"7": 0.3, "8": 0.3}),
        Trial(("lr=1",), {"7": 0.3, "8": 0.3}),
        Trial(("lr=2",), {"7": 0, "8": 0}),
    ],
}
GRIDS = {
    "simclr": [(f"lr={lr}", f"t={t}") for lr in (0.1, 0.2, 0.3) for t in (1, 2)],
    "cmc": [trial.settings for trial in TRIALS["cmc"]],
}
SELECTION = Selection(TRIALS, "val", GRIDS, "ridge")


def test_the_highest_mean_over_seeds_is_chosen() -> None:
    """Not one of a single high seed whose other run failed; of equal ones the first."""
    assert SELECTION.chosen("simclr").settings == ("lr=0.1", "t=2")
    assert SELECTION.chosen("simclr").score == pytest.approx(0.65)
    assert SELECTION.chosen("cmc").settings == ()
    with pytest.raises(UsageError, match="no trial has finished"):
        best([Trial((), {"7": NAN})])


def test_ranges_are_the_values_of_each_setting() -> None:
    assert ranges([trial.settings for trial in TRIALS["simclr"]]) == "lr=0.1,0.2 t=1,2"
    assert ranges([()]) == "(the recipe's)"


def test_the_page_tells_budget_ranges_and_choice() -> None:
    lines = SELECTION.markdown().splitlines()
    assert lines[2].startswith(
        "3 trials of each strategy, on seeds 7, 8, scored on val, a part of the training data, by"
    )
    assert "| simclr | lr=0.1,0.2,0.3 t=1,2 | 3 of 6 | lr=0.1 t=2 | 65.0 |" in lines, "what the trials are drawn from"
    assert lines[2].endswith("The test data were not used.")
    more = replace(SELECTION, others=2).markdown()
    assert "Not counted are runs of other settings or seeds that lie among the trials: 2." in more
    assert "| cmc | lr=1,2 | 3 | (the recipe's) | 30.0 |" in lines
    own = lines[lines.index("## simclr") : lines.index("## cmc")]
    assert own[2:7] == [
        "| settings | mean | seed 7 | seed 8 |",
        "|---|---|---|---|",
        "| lr=0.1 t=2 | 65.0 | 70.0 | 60.0 |",
        "| lr=0.1 t=1 | 55.0 | 50.0 | 60.0 |",
        "| lr=0.2 t=1 | failed | 90.0 | failed |",
    ]


def test_the_table_has_every_trial(tmp_path: Path) -> None:
    markdown, table = SELECTION.write(tmp_path)
    assert (markdown.name, table.name) == ("selection.md", "selection.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 12 and [r["settings"] for r in rows if r["chosen"] == "1"] == ["lr=0.1 t=2"] * 2 + [""] * 2
    assert [r["accuracy"] for r in rows[2:5]] == ["0.9", "", "0.7"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        SELECTION.write(tmp_path / "file")


def test_the_score_is_that_of_the_last_encoder_on_validation_data(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a")
    first, *others = (folder / "log.jsonl").read_text().splitlines()
    event = json.loads(first)
    event["config"]["eval_on"] = "val"
    (folder / "log.jsonl").write_text("\n".join([json.dumps(event), *others]) + "\n")
    assert validation_accuracy(folder, "val") == pytest.approx(sum(R[-1]) / 3)
    for other in ("val:2", "test"):
        with pytest.raises(UsageError, match=f"was not scored on {other}: give another --out"):
            validation_accuracy(folder, other)
