"""The table of a grid of fine-tuning, in its three forms."""

import csv
from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.fine_tuning_table import CSV_COLUMNS, FineTuningTable, Measurement


def measured(protocol: str, labels: float, *values: float, head: str = "linear", metric: str = "accuracy"):
    return [Measurement(protocol, head, labels, i, v, 50, 3, 2.0 + i, metric) for i, v in enumerate(values)]


TABLE = FineTuningTable(
    [*measured("full", 0.1, 0.5, 0.6, 0.7), *measured("scratch", 0.1, 0.2), *measured("full", 1, 0.8, 0.9, 0.85)],
    "a caption",
)


def test_a_row_for_each_protocol_and_a_column_for_each_share():
    assert TABLE.columns == ["10 % of labels", "100 % of labels"]
    assert [(row.label, [*map(str, row.cells)]) for row in TABLE.rows] == [
        ("full", ["60.0 ± 24.8", "85.0 ± 12.4"]),
        ("scratch", ["20.0", "-"]),
    ]
    assert TABLE.text(80).splitlines() == [
        "              10 % of     100 % of",
        "protocol       labels       labels",
        "full      60.0 ± 24.8  85.0 ± 12.4",
        "scratch   20.0            -",
    ]


def test_heads_and_metrics_are_named_where_there_are_several():
    heads = [*measured("full", 1, 0.5), *measured("full", 1, 0.6, head="mlp")]
    assert [row.label for row in FineTuningTable(heads, "").rows] == ["full, linear", "full, mlp"]
    metrics = [*measured("full", 1, 0.5, metric="AP"), *measured("full", 1, 0.6, metric="AP50")]
    assert [row.label for row in FineTuningTable(metrics, "").rows] == ["full, AP", "full, AP50"]


def test_it_is_written_as_csv_and_markdown(tmp_path: Path):
    paths = TABLE.write(tmp_path / "finetune")
    assert [path.name for path in paths] == ["finetune.csv", "finetune.md"]
    lines = list(csv.DictReader(paths[0].read_text().splitlines()))
    assert tuple(lines[0]) == CSV_COLUMNS
    assert [(x["protocol"], x["labels"], x["mean"], x["std"], x["seeds"], x["seconds"]) for x in lines] == [
        ("full", "0.1", "0.600000", "0.100000", "3", "3.0"),
        ("scratch", "0.1", "0.200000", "", "1", "2.0"),
        ("full", "1", "0.850000", "0.050000", "3", "3.0"),
    ]
    assert {(x["head"], x["metric"], x["images"], x["epochs"]) for x in lines} == {("linear", "accuracy", "50", "3")}
    assert paths[1].read_text(encoding="utf-8") == (
        "a caption\n\n"
        "| protocol | 10 % of labels | 100 % of labels |\n|---|---|---|\n"
        "| full | 60.0 ± 24.8 | 85.0 ± 12.4 |\n| scratch | 20.0 | - |\n"
    )


def test_a_table_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(UsageError, match=r"cannot write .*t\.csv .*start again: what is trained is kept"):
        TABLE.write(tmp_path / "t")
