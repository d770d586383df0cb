"""Metrics by hand, and the tables of text that a run prints."""

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.docs import ROOT

from avalanche_ssl.evaluation import TaskResult
from avalanche_ssl.logging import CurveEvent
from avalanche_ssl.runs import summary

R = np.array([[0.8, 0.5, math.nan], [0.6, 0.9, 0.4], [0.7, 0.6, 1.0]])
F = np.array([[0.8, math.nan, math.nan], [0.4, 0.9, math.nan], [0.2, 0.5, 1.0]])
UNTRAINED = np.array([0.5, 0.4, 0.3])


def test_summary_by_hand() -> None:
    matrix = np.where(np.isnan(R), 0.35, R)
    assert summary.summary(matrix, UNTRAINED, 0.8, F) == pytest.approx(
        {
            "average accuracy": (0.7 + 0.6 + 1.0) / 3,
            "anytime accuracy": (0.8 + (0.6 + 0.9) / 2 + (0.7 + 0.6 + 1.0) / 3) / 3,
            "forgetting (refitted probe)": ((0.8 - 0.7) + (0.9 - 0.6)) / 2,
            "forgetting (frozen probe)": ((0.8 - 0.2) + (0.9 - 0.5)) / 2,
            "backward transfer": ((0.7 - 0.8) + (0.6 - 0.9)) / 2,
            "forward transfer": ((0.5 - 0.4) + (0.4 - 0.3)) / 2,
            "untrained accuracy": 0.4,
            "knowledge gain": ((0.9 - 0.5) + (1.0 - 0.4)) / 2,
            "consolidation": 0.8,
        }
    )
    assert math.isnan(summary.summary(matrix, UNTRAINED)["forgetting (frozen probe)"]), "no probe was kept"
    assert summary.METRICS.keys() >= summary.summary(matrix, UNTRAINED).keys()
    gain, chaudhry = (summary.METRICS[name].function for name in ("gain", "forgetting (Chaudhry)"))
    assert gain and gain(matrix, UNTRAINED) == pytest.approx((0.7 + 0.6 + 1.0) / 3 - 0.4)
    assert chaudhry and chaudhry(matrix, UNTRAINED) == pytest.approx(((0.8 - 0.7) + (0.9 - 0.6)) / 2)


def test_the_tables_of_metrics_explain_each_of_them() -> None:
    found = summary.summary_table(R, UNTRAINED, 0.8).splitlines()
    lines: list[str] = []
    for line in found:
        if line.startswith(" "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    assert len(lines) == len(summary.SUMMARY)
    assert lines[0] == "average accuracy              76.7 %   " + summary.METRICS["average accuracy"].explanation
    assert lines[-1].startswith("consolidation                 80.0 %   share of the test images")
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert summary.metrics_table() in text, "write the table again: it is metrics_table()"
    assert all(name == metric.name and not metric.explanation.endswith(".") for name, metric in summary.METRICS.items())


def test_explanations_are_wrapped_below_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = summary.summary_table(R, UNTRAINED, 0.8).splitlines()
    assert lines[:2] == [
        "average accuracy              76.7 %   mean of the last row of R: the accuracy",
        "                                       of the last encoder, mean over the",
    ]
    assert max(map(len, lines)) <= 80


def test_percent() -> None:
    assert [summary.percent(v) for v in (0.5, 1.0, -0.0123, math.nan)] == ["50.0", "100.0", "-1.2", "-"]
    assert [summary.percent(v, signed=True) for v in (0.5, -0.0123, math.nan)] == ["+50.0", "-1.2", "-"]


def test_table_of_the_matrix() -> None:
    expected = [
        "trained       e1    e2    e3   mean",
        "untrained   50.0  40.0  30.0   40.0",
        "1           80.0  50.0     -   65.0",
        "2           60.0  90.0  40.0   63.3",
        "3           70.0  60.0 100.0   76.7",
    ]
    assert summary.matrix_table(R, UNTRAINED).splitlines() == expected
    assert summary.matrix_table(R, UNTRAINED, chance=0.25).splitlines() == [
        *expected,
        "chance      25.0  25.0  25.0   25.0",
    ]
    more = {"frozen": F[-1], "raw pixels 16x16": np.array([0.1, 0.2, math.nan])}
    assert summary.matrix_table(R, UNTRAINED, chance=0.25, more=more).splitlines() == [
        *(line.replace(line[:10], line[:10].ljust(17), 1) for line in expected),
        "frozen             20.0  50.0 100.0   56.7",
        "raw pixels 16x16   10.0  20.0     -   15.0",
        "chance             25.0  25.0  25.0   25.0",
    ]
    assert summary.matrix_table(np.full((1, 1), math.nan), np.ones(1)).endswith("      -      -")
    given = summary.matrix_table(R, UNTRAINED, start="at the start").splitlines()
    assert given[:2] == ["trained          e1    e2    e3   mean", "at the start   50.0  40.0  30.0   40.0"]


@pytest.mark.parametrize(
    ("config", "name"),
    [({}, "untrained"), ({"init": "e.pt"}, "at the start"), ({"continue_from": "runs/a"}, "at the start")],
)
def test_what_the_encoder_before_the_stream_is_called(config: Any, name: str) -> None:
    assert summary.start_name({"init": None, "continue_from": None} | config) == name


def test_of_a_long_stream_some_rows_and_columns_are_shown() -> None:
    matrix = np.arange(100.0).repeat(100).reshape(100, 100) / 100
    matrix[1::2] = np.nan
    matrix[-1] = 1
    lines = [line.split() for line in summary.matrix_table(matrix, np.zeros(100), most=4).splitlines()]
    assert lines[0] == ["trained", "e1", "e34", "e67", "e100", "mean"]
    assert [line[0] for line in lines[1:]] == ["untrained", "1", "35", "67", "100"]
    assert lines[3] == ["35", *["34.0"] * 5]


@pytest.mark.parametrize(("columns", "shown"), [(80, 10), (100, 13), (300, 20)])
def test_as_many_columns_are_shown_as_fit(monkeypatch: pytest.MonkeyPatch, columns: int, shown: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    first, *rest = summary.matrix_table(np.full((50, 50), 0.5), np.zeros(50)).splitlines()
    assert len(first.split()) == shown + 2 and len(rest) == 21
    assert max(map(len, [first, *rest])) <= columns


def test_table_of_probing_tasks() -> None:
    rows = [
        (
            t,
            [
                TaskResult("kind", 0.5, 0.25, {"place": {"here": t / 20, "there": 1.0}}),
                TaskResult("other", 0.1, 0.5, {}),
            ],
        )
        for t in range(21)
    ]
    lines = summary.task_table(rows, "place", most=3).splitlines()
    assert lines[0].split() == ["place", "place"]
    assert [line.split() for line in lines[1:]] == [
        ["trained", "here", "there", "kind", "other"],
        ["untrained", "0.0", "100.0", "50.0", "10.0"],
        ["10", "50.0", "100.0", "50.0", "10.0"],
        ["20", "100.0", "100.0", "50.0", "10.0"],
        ["chance", "25.0", "50.0"],
    ]
    last = [TaskResult("kind", 0.7, 0.25, {"place": {"here": 0.6}})]  # the other task has no result on all images
    *_, final, _ = summary.task_table(rows, "place", most=3, final=last).splitlines()
    assert final.split() == ["all", "images", "60.0", "-", "70.0", "-"]


def point(images: int, scope: str, accuracy: float, probe: str = "ridge") -> CurveEvent:
    numbers = {"images_seen": images, "images_trained": images, "seconds": 1.0, "experiences_trained": 0}
    return CurveEvent(probe=probe, scope=scope, accuracy=accuracy, **numbers)


def test_table_of_the_curve() -> None:
    curve = [point(images, "all", images / 10_000) for images in range(0, 5001, 1000)]
    curve += [point(2000, "seen", 0.75), point(2000, "all", 0.5, "knn-20")]
    assert summary.curve_table(curve, "ridge", most=3).splitlines() == [
        " images seen     all    seen",
        "           0     0.0       -",
        "       2,000    20.0    75.0",
        "       5,000    50.0       -",
    ]
    assert len(summary.curve_table(curve, "ridge").splitlines()) == 7


@dataclass
class Probed:
    """What the table needs of a `ProbePlugin`."""

    scopes: tuple[str, ...] = ("all", "task")
    full_test_accuracies: dict[str, float] = field(default_factory=lambda: {"core50": 0.5})
    probes: list[Any] = field(
        default_factory=lambda: [
            SimpleNamespace(name="core50", scopes=("all", "task"), caveat=""),
            SimpleNamespace(name="mine", scopes=("all",), caveat="it has one"),
        ]
    )

    def untrained(self, scope: str, probe: str) -> Any:
        assert scope == "all"
        return np.array([0.125, 0.25 if probe == "mine" else 0.5])

    def pixels(self, probe: str) -> Any:
        return np.array([0.25, 0.5 if probe == "mine" else math.nan])

    def matrix(self, scope: str, probe: str) -> Any:
        return np.array([[0.1, 0.1], [0.2, 0.4 if scope == "all" else 0.6]])


def test_table_of_protocols_with_their_caveats() -> None:
    assert summary.protocol_table(Probed()).splitlines() == [  # type: ignore[arg-type]
        "probe                        all    task  untrained, all  pixels, all",
        "core50                      30.0    40.0            31.2            -",
        "  on all test images: 50.0",
        "mine                        30.0       -            18.8         37.5",
        "  caveat: it has one",
    ]
