"""Tables in each format hold the same names, features and neighbors."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs import feature_tables
from avalanche_ssl.runs.feature_tables import Neighbors, check_table, nearest, write_table

NAMES = ["a/1.png", 'b/"2", zwei.png', "b/ü.png"]
FEATURES = np.array([[1.0, 1e-30], [np.float32(1) / 3, 3e8], [-2.5, 0.1]], np.float32)
NEAR = Neighbors(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[0.5, 0.25], [0.5, -0.125], [0.25, -0.125]], np.float32))


def test_nearest_by_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_tables, "CHUNK", 7)
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    found = nearest(x * np.arange(1, 41, dtype=np.float32)[:, None], 3)
    assert np.array_equal(found.rows, np.argsort(-cosines, axis=1)[:, :3])
    np.testing.assert_allclose(found.similarities, -np.sort(-cosines, axis=1)[:, :3], atol=1e-6)


@pytest.mark.parametrize("k", [0, 3])
def test_there_must_be_so_many_neighbors(k: int) -> None:
    with pytest.raises(UsageError, match=f"--neighbors is {k}, and there are 3 images: give 1 to 2"):
        nearest(FEATURES, k)


@pytest.mark.parametrize("near", [None, NEAR])
def test_csv(near: Neighbors | None, tmp_path: Path) -> None:
    write_table(out := tmp_path / "t.csv", NAMES, FEATURES, near)
    with out.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    more = ["neighbor_1", "similarity_1", "neighbor_2", "similarity_2"] if near else []
    assert head == ["file", "feature_0", "feature_1", *more]
    assert [row[0] for row in rows] == NAMES
    assert np.array_equal(np.array([row[1:3] for row in rows], np.float32), FEATURES), "every bit"
    if near:
        assert rows[1][3:] == [NAMES[0], "0.5", NAMES[2], "-0.125"]


@pytest.mark.parametrize("near", [None, NEAR])
def test_npz(near: Neighbors | None, tmp_path: Path) -> None:
    write_table(out := tmp_path / "t.npz", NAMES, FEATURES, near)
    with np.load(out, allow_pickle=False) as table:
        assert table["files"].tolist() == NAMES and np.array_equal(table["features"], FEATURES)
        assert ("neighbors" in table) == bool(near)
        if near:
            assert np.array_equal(table["neighbors"], near.rows)
            assert np.array_equal(table["similarities"], near.similarities)


@pytest.mark.parametrize("near", [None, NEAR])
def test_parquet(near: Neighbors | None, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(out := tmp_path / "t.parquet", NAMES, FEATURES, near)
    rows = parquet.read_table(out).to_pylist()
    assert [row["file"] for row in rows] == NAMES
    assert np.array_equal(np.array([row["features"] for row in rows], np.float32), FEATURES)
    assert ("neighbors" in rows[0]) == bool(near)
    if near:
        assert rows[1]["neighbors"] == [NAMES[0], NAMES[2]] and rows[1]["similarities"] == [0.5, -0.125]


def test_what_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"cannot write a table to 't.xlsx': .* ends in .parquet, .csv, .npz"):
        check_table(Path("t.xlsx"))
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder: give --out a file"):
        check_table(tmp_path / "t.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"Parquet needs a package: pip install pyarrow, or give --out a .csv or .npz"):
        check_table(Path("t.parquet"))
