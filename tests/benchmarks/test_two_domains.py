"""The benchmark two_domains.py: both columns by method and plugins, rows that are there not run again."""

import csv
from pathlib import Path

import numpy as np
import pytest
import two_domains
from helpers.encoders import tiny
from PIL import Image

from avalanche_ssl.models.encoders import ENCODERS


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two classes that differ in brightness."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 3)):
        for label, low in (("dark", 0), ("light", 128)):
            folder = tmp_path / "photographs" / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(low, low + 127, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "photographs"


@pytest.mark.slow
def test_rows_are_kept_and_the_table_pairs_seeds(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    out = tmp_path / "rows.csv"
    given = ["--photographs", str(photographs), "--images", "4", "--test-images", "3", "--composites", "2"]
    given += ["--epochs", "1", "1", "--out", str(out), "--recipe", "output_dim=8", "--set", "replay.size=8"]
    assert two_domains.main([*given, "--plugin", "none", "replay", "none@2"]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["plugins"] for row in rows] == ["none", "replay", "none@2"]
    assert all(0 <= float(row[key]) <= 1 for row in rows for key in two_domains.FIELDS[3:])
    first = rows[0]["photographs before"]
    assert rows[2]["photographs before"] == first, "the same until the second domain"
    before = out.read_text()
    assert two_domains.main([*given, "--plugin", "none", "replay", "none@2"]) == 0
    assert out.read_text() == before, "nothing is run again"
    table = capsys.readouterr().out.splitlines()[-3:]
    assert table[0].startswith("| cmc | none | 1 |") and table[0].count("+0.0") == 2


def test_the_table_has_means_deviations_and_paired_differences(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        dict(zip(two_domains.FIELDS, ["cmc", plugins, seed, 0.2, after, 0.4, digits], strict=True))
        for plugins, seed, after, digits in (
            ("none", "0", "0.10", "0.5"),
            ("none", "1", "0.12", "0.6"),
            ("replay", "0", "0.15", "0.5"),
            ("replay", "1", "0.19", "0.7"),
        )
    ]
    two_domains.print_table(rows)
    replayed = capsys.readouterr().out.splitlines()[-1]
    assert replayed == "| cmc | replay | 2 | 20.0 ± 0.0, 17.0 ± 2.8 | +6.0 ± 1.4 | 60.0 ± 14.1 | +5.0 ± 7.1 |"


def test_a_mistake_is_one_line(photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--photographs", str(photographs), "--out", str(tmp_path / "a.csv"), "--set", "size=5"]
    assert two_domains.main(given) == 2
    assert "--set size: give --set PLUGIN.KEY=VALUE, or --recipe size=VALUE" in capsys.readouterr().err
