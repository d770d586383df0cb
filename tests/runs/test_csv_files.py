"""The CSV files of a run hold what was measured."""

import csv
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np

from avalanche_ssl.logging import CurveEvent
from avalanche_ssl.runs.csv_files import write_accuracies, write_curve

R = np.array([[0.8, 0.5, math.nan], [0.6, 0.9, 0.4], [0.7, 0.6, 1.0]])
UNTRAINED = np.array([0.5, 0.4, 0.3])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_accuracies(tmp_path: Path) -> None:
    rows = [{"all": UNTRAINED}, *({"all": row} for row in R)]
    write_accuracies(tmp_path / "a.csv", rows, "ridge", {"ridge": "so, so", "other": "no"})
    matrix = np.full((4, 3), math.nan)
    for row in read(tmp_path / "a.csv"):
        assert (row["probe"], row["scope"], row["caveat"]) == ("ridge", "all", "so, so")
        matrix[int(row["experiences_trained"]), int(row["experience"]) - 1] = float(row["accuracy"])
    np.testing.assert_array_equal(matrix, np.vstack([UNTRAINED, R]))


def test_accuracies_of_other_probes(tmp_path: Path) -> None:
    write_accuracies(tmp_path / "a.csv", [{"all": UNTRAINED, "knn-20/task": R[0]}], "ridge", {})
    found = [(row["probe"], row["scope"], row["experience"], row["caveat"]) for row in read(tmp_path / "a.csv")]
    assert found == [("ridge", "all", str(j), "") for j in (1, 2, 3)] + [("knn-20", "task", str(j), "") for j in (1, 2)]


def test_the_curve_has_the_fields_of_its_events(tmp_path: Path) -> None:
    numbers = {"images_trained": 20, "seconds": 1.5, "experiences_trained": 1, "accuracy": 0.25}
    curve = [CurveEvent(images_seen=10 * i, probe="ridge", scope="all", **numbers) for i in range(2)]
    write_curve(tmp_path / "a.csv", curve)
    assert read(tmp_path / "a.csv") == [
        {name: "" if value is None else str(value) for name, value in asdict(point).items()} for point in curve
    ]
