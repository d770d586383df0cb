"""Tables as Markdown, CSV and LaTeX: every number by hand, and names that a format must escape."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.logs import R, add_evidence, changed, write_run

from avalanche_ssl import __version__
from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import exports
from avalanche_ssl.reports.comparison import streams
from avalanche_ssl.runs import read_run


@pytest.fixture
def found(tmp_path: Path, one_stream: Any) -> Any:
    folders = [
        changed(write_run(tmp_path / f"a{s}", "cmc", s, 0.01 * s), "run", commit="abc-dirty" if s else "abc")
        for s in range(3)
    ]
    return [one_stream(*folders, write_run(tmp_path / "b", "my_50%|own", 1, 0.1, caveat="so & so"))]


def test_the_csv_has_a_line_for_each_metric(found: Any) -> None:
    rows = list(csv.DictReader(exports.csv_text(found).splitlines()))
    assert tuple(rows[0]) == exports.CSV_COLUMNS
    first, *_ = rows
    numbers = [float(first.pop(name)) for name in ("mean", "std", "low", "high")]
    values = [sum(R[-1]) / 3 + 0.01 * seed for seed in range(3)]
    reach = 4.302652729749464 * np.std(values, ddof=1) / 3**0.5
    mean = float(np.mean(values))
    assert numbers == pytest.approx([mean, np.std(values, ddof=1), mean - reach, mean + reach], rel=1e-12), "all digits"
    assert first == {
        "stream": "digits (experiences 3)",
        "strategy": "cmc",
        "reference": "",
        "probe": "ridge",
        "scope": "all",
        "metric": "average accuracy",
        "n": "3",
        "seeds": "0 1 2",
        "views": "200",
        "teacher_views": "0",
        "steps": "10",
        "training_seconds": "2.0",
        "version": __version__,
        "commit": "abc abc-dirty",
    }
    (other,) = [row for row in rows if row["strategy"] == "my_50%|own" and row["metric"] == "gain"]
    assert (other["n"], other["seeds"], other["std"], other["low"], other["commit"]) == ("1", "1", "", "", "")
    assert {row["metric"] for row in rows} >= {"forgetting (refitted probe)", "anytime accuracy"}
    assert not any(row["metric"] == "consolidation" for row in rows), "not measured"


def test_markdown(found: Any) -> None:
    lines = exports.markdown(found, ["a note"]).splitlines()
    assert lines[0] == "note: a note" and "## digits (experiences 3)" in lines
    head, rule, cmc, other = lines[lines.index("") + 5 :][:4]
    assert head.startswith("| strategy | n | seeds | average accuracy | gain |") and head.endswith("| commit |")
    assert rule == "|---" * 13 + "|"
    assert cmc.startswith("| cmc | 3 | 0, 1, 2 | 61.0 ± 2.5 |") and cmc.endswith("| abc abc-dirty |")
    assert other.startswith("| my_50%/own | 1 | 1 | 70.0 |") and other.endswith(f"| {__version__} |")
    text = "\n".join(lines)
    assert "Difference to cmc, paired by seed and test image; percentage points." in text
    assert "| my_50%/own | +9.0 |" in text and "Note: ridge: so & so." in text
    assert "| cmc | 2 ± 0 | 50 ± 0 | 200 |" in text, "cost"
    assert "Note: not tested against my_50%|own, the best: cmc (" in text


def test_latex_compiles_as_far_as_can_be_seen(found: Any) -> None:
    text = exports.latex(found, [])
    assert text.startswith("% \\usepackage{booktabs}\n\\subsection*{digits (experiences 3)}")
    assert "cmc & 3 & 0, 1, 2 & 61.0 $\\pm$ 2.5 &" in text and "my\\_50\\%$|$own & 1" in text
    assert "so \\& so" in text and "±" not in text
    text = exports.latex(found, [r"a\b: p < 0.1, -1.5 and (-.5), cla-e, 2-3"])
    assert text.splitlines()[1] == (r"note: a\textbackslash{}b: p $<$ 0.1, $-$1.5 and ($-$.5), cla-e, 2-3"), (
        "text fonts have other signs where ASCII has these, and a hyphen is no minus"
    )
    for row in text.splitlines():
        if row.endswith("\\\\"):
            assert row.count(" & ") in (12, 4, 8)
    assert text.count("\\begin{tabular}") == text.count("\\end{tabular}") == 3


def test_baselines_and_frozen_probes(tmp_path: Path) -> None:
    """Two seeds on two choices of images: pixels are of two, chance of one."""
    folders = [add_evidence(write_run(tmp_path / f"{s}", seed=s), pixels=0.2 + 0.1 * s, shift=0.01 * s) for s in (0, 1)]
    found = streams([read_run(folder) for folder in folders])
    rows = list(csv.DictReader(exports.csv_text(found).splitlines()))
    (frozen,) = [row for row in rows if row["metric"] == "forgetting (frozen probe)"]
    assert (frozen["n"], float(frozen["mean"]), float(frozen["std"])) == ("2", pytest.approx(0.5), pytest.approx(0))
    pixels, chance = (row for row in rows if row["reference"] == "baseline")
    assert (pixels["strategy"], pixels["metric"], pixels["n"]) == ("raw pixels 16x16", "average accuracy", "2")
    assert (float(pixels["mean"]), float(pixels["std"])) == (pytest.approx(0.25), pytest.approx(0.005**0.5))
    assert (pixels["seeds"], pixels["views"]) == ("", "")
    assert (chance["strategy"], chance["n"], chance["mean"], chance["commit"]) == ("chance", "1", "0.125", "")
    lines = exports.markdown(found, []).splitlines()
    (row,) = [line for line in lines if line.startswith("| raw pixels 16x16")]
    assert row.startswith("| raw pixels 16x16 | 2 |  | 25.0 | - |")
    assert "raw pixels 16x16 & 2 &  & 25.0 & - &" in exports.latex(found, [])


def test_they_are_written_beside_the_page(found: Any, tmp_path: Path) -> None:
    paths = exports.write(tmp_path / "report.html", ["md", "csv", "latex"], found, [])
    assert [path.name for path in paths] == ["report.md", "report.csv", "report.tex"]
    assert paths[1].read_text(encoding="utf-8") == exports.csv_text(found)
    (tmp_path / "x.md").mkdir()
    with pytest.raises(UsageError, match=r"cannot write .*x\.md .*: give another --out"):
        exports.write(tmp_path / "x.html", ["md"], found, [])
