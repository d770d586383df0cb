"""The comparison of runs as text: numbers, caveats, baselines, cost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.logs import add_evidence, add_tasks, append, write_run
from scipy.stats import ttest_rel

from avalanche_ssl.logging import ConsolidationEvent
from avalanche_ssl.reports import tables
from avalanche_ssl.reports.baselines import Baseline
from avalanche_ssl.reports.comparison import streams
from avalanche_ssl.runs import read_run


def test_means_and_paired_differences(tmp_path: Path, one_stream: Any) -> None:
    runs = [write_run(tmp_path / f"a{s}", "cmc", s, 0.01 * s) for s in range(3)]
    runs += [write_run(tmp_path / f"b{s}", "moco", s, 0.01 * s + 0.1 + 0.02 * (s == 2)) for s in (1, 2)]
    text = tables.table([one_stream(*runs)], ["a note"])
    assert text.startswith("note: a note\n")
    assert "probe ridge, scope all" in text and "61.0 ± 2.5" in text
    difference = text.partition("\ndifference to cmc, seed by seed; percentage points")[2].splitlines()
    assert difference[3].split() == ["strategy", "seeds", "accuracy", "gain", "accuracy", "probe)"]
    assert difference[4].split() == ["moco", "2", "+11.0", "±", "12.7", "+0.0", "±", "0.0", "-", "-15.0", "±", "0.0"]


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit_the_screen(tmp_path: Path, one_stream: Any, width: int) -> None:
    names = ["cmc", "moco_with_a_long_name", "simclr"]
    folders = [
        add_tasks(write_run(tmp_path / f"{name}{s}", name, s, 0.01 * s, caveat="so and so " * 30), full_test=0.5)
        for name in names
        for s in range(2)
    ]
    lines = tables.table([one_stream(*folders)], [], width=width).splitlines()
    assert max(map(len, lines)) <= width
    for name in ("consolidation", "untrained", "<scene>", "caveat of ridge: so and so"):
        assert name in "\n".join(lines)


def test_the_best_means_are_bold(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", "moco", shift=0.1))
    stream.baselines = [Baseline("raw pixels", [{("ridge", "all"): np.array([0.99, 0.99])}, {}])]
    rows = tables.summary_rows(stream, "ridge", "all")
    assert [row.cells[0].mean for row in rows] == ["60.0", "70.0", "99.0"]
    assert tables.best_rows(rows, 0, "average accuracy") == [1], "a baseline is none of the strategies"
    rows[1].cells[1] = tables.Cell("-5.0")
    assert tables.best_rows(rows, 1, "gain") == [0]
    rows[0].cells[3], rows[1].cells[3] = tables.Cell("-2.0"), tables.Cell("-1.0", "3.0")
    assert tables.best_rows(rows, 3, "forgetting (refitted probe)") == [0], "the least is best"
    assert tables.best_rows(rows, 0, "untrained accuracy") == [], "no merit"
    rows[1].cells[3] = tables.Cell("-2.0")
    assert tables.best_rows(rows, 3, "forgetting (refitted probe)") == [], "they are equal"
    rows[1].cells[3] = tables.Cell()
    assert tables.best_rows(rows, 3, "forgetting (refitted probe)") == [], "one has none"
    text = tables.table([stream], [], bold=True)
    assert "\x1b[1m70.0\x1b[0m" in text and "\x1b[1m60.0" not in text and "\x1b[1m99.0" not in text
    assert "\x1b" not in tables.table([stream], [])


def test_streams_are_kept_apart(tmp_path: Path) -> None:
    found = streams([read_run(write_run(tmp_path / name, benchmark=name)) for name in ("digits", "cifar")])
    assert "2 different streams are kept apart" in tables.table(found, [])


def test_a_caveat_is_next_to_the_numbers_and_consolidation_is_shown(tmp_path: Path, one_stream: Any) -> None:
    folder = write_run(tmp_path / "a", probe="mine", caveat="<not> so")
    append(folder, ConsolidationEvent(experiences_trained=3, accuracy=0.625, chance=0.333))
    text = tables.table([one_stream(folder)], [])
    assert "caveat of mine: <not> so" in text.splitlines() and "62.5" in text


def cells(text: str, label: str) -> list[str]:
    """The cells of a line of the table of probing tasks, without spaces around the standard deviation."""
    (line,) = [line for line in text.partition("probing tasks")[2].splitlines() if line.startswith(label)]
    return line.replace(" ± ", "±").split()[1:]


def test_task_results_over_seeds_by_hand(tmp_path: Path, one_stream: Any) -> None:
    folders = [
        add_tasks(write_run(tmp_path / f"a{s}", seed=s), full_test=0.7 + 0.02 * s, accuracy=0.1 + 0.2 * s)
        for s in range(3)
    ]
    stream = one_stream(*folders, add_tasks(write_run(tmp_path / "b", "moco"), 0.6))
    text = tables.table([stream], [])
    assert "probing tasks; last encoder on all test images" in text
    above, head = text.partition("probing tasks")[2].splitlines()[1:3]
    assert above.split() == ["place"] and head.split()[1:] == ["place", "here", "there", "kind", "<scene>"]
    assert cells(text, "cmc") == ["72.0±5.0", "62.0±5.0", "72.0±5.0", "38.0±5.0"]
    assert cells(text, "moco") == ["60.0", "50.0", "60.0", "40.0"]
    assert cells(text, "chance") == ["-", "-", "25.0", "12.5"]


def test_task_results_are_on_the_same_images_for_all_runs(tmp_path: Path, one_stream: Any) -> None:
    """One run has none on all test images; the other was measured after other experiences."""
    folders = [
        add_tasks(write_run(tmp_path / "a"), full_test=0.7),
        add_tasks(write_run(tmp_path / "b", seed=1), trained=(0, 1, 3)),
    ]
    text = tables.table([one_stream(*folders)], [])
    assert "probing tasks; last encoder on the test images of the matrix" in text
    assert cells(text, "cmc")[2] == "65.0"


def test_no_probing_tasks_no_table(tmp_path: Path, one_stream: Any) -> None:
    assert "probing tasks" not in tables.table([one_stream(write_run(tmp_path / "a"))], [])


def test_baselines_have_an_average_accuracy_only(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"))
    stream.baselines = [Baseline("raw pixels", [{("ridge", "all"): np.array([0.25, 0.75])}, {}])]
    *_, row = tables.summary_rows(stream, "ridge", "all")
    assert (row.label, row.seeds, row.baseline) == ("raw pixels", 1, True)
    assert [cell.mean for cell in row.cells] == ["50.0"] + [""] * (len(tables.COLUMNS) - 1)
    (line,) = [line for line in tables.table([stream], [], width=150).splitlines() if line.startswith("raw pixels")]
    assert line.split()[2:] == ["1", "50.0"] + ["-"] * (len(tables.COLUMNS) - 1)
    assert [str(cell) for cell in tables.protocol_rows(stream)[0].cells] == ["60.0", "50.0"]


def test_encoders_at_the_start_are_called_untrained_unless_one_was_given(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(write_run(tmp_path / "a"), write_run(tmp_path / "b", "moco", shift=0.1))
    assert tables.protocol_rows(stream)[1].label == "ridge, all, untrained"
    stream.groups[1].runs[0].config |= {"init": "encoder.pt"}
    assert tables.protocol_rows(stream)[1].label == "ridge, all, at the start"


def test_what_runs_log_to_compare_with(tmp_path: Path, one_stream: Any) -> None:
    """Pixels and chance are rows, frozen probes a column; under every protocol there is the untrained encoder."""
    stream = one_stream(add_evidence(write_run(tmp_path / "a")), write_run(tmp_path / "b", "moco", shift=0.1))
    cmc, moco, pixels, chance = tables.summary_rows(stream, "ridge", "all")
    frozen, refitted = (tables.COLUMNS.index(f"forgetting ({kind} probe)") for kind in ("frozen", "refitted"))
    assert (cmc.cells[frozen].mean, cmc.cells[refitted].mean, moco.cells[frozen].mean) == ("50.0", "20.0", "")
    assert [(row.label, str(row.cells[0]), row.baseline) for row in (pixels, chance)] == [
        ("raw pixels 16x16", "25.0", True),
        ("chance", "12.5", True),
    ]
    last, first = tables.protocol_rows(stream)
    assert (last.label, [str(cell) for cell in last.cells]) == ("ridge, all", ["60.0", "70.0", "25.0", "12.5"])
    assert (first.label, [str(c) for c in first.cells]) == ("ridge, all, untrained", ["40.0", "50.0", "-", "-"])
    rows = [cmc, moco, pixels, chance]
    assert tables.best_rows(rows, refitted, tables.COLUMNS[refitted]) == [], "20 points each"
    rows[1].cells[frozen] = tables.Cell("40.0")
    assert tables.best_rows(rows, frozen, tables.COLUMNS[frozen]) == [1], "the least is best"


def test_accuracy_on_all_test_images(tmp_path: Path, one_stream: Any) -> None:
    stream = one_stream(add_tasks(write_run(tmp_path / "a"), full_test=0.7), write_run(tmp_path / "b", "moco"))
    (row,) = tables.full_test_rows(stream)
    assert row.label == "ridge, all, on all test images"
    assert [str(cell) for cell in row.cells] == ["70.0", "-"]


def test_cost_by_hand(tmp_path: Path, one_stream: Any) -> None:
    seeds = [write_run(tmp_path / f"a{seed}", seed=seed) for seed in range(3)]
    stream = one_stream(*seeds, write_run(tmp_path / "c", "moco"))
    row, _ = tables.cost_rows(stream)
    assert dict(zip(tables.COST_COLUMNS, map(str, row.cells))) == {
        "training s": "2 ± 0",
        "images/s": "50 ± 0",
        "views": "200",
        "teacher views": "0",
        "steps": "10",
        "parameters": "5",
        "plugin parameters": "0",
        "bytes remembered": "7",
    }
    stream.groups[0].runs[0].cost, stream.groups[1].runs[0].end = None, None
    assert [str(cell) for cell in tables.cost_rows(stream)[0].cells[2:]] == ["-"] * 6
    assert [str(cell) for cell in tables.cost_rows(stream)[1].cells[:2]] == ["-"] * 2


def test_paired_differences_are_tested_for_each_metric_over_all_groups(tmp_path: Path, one_stream: Any) -> None:
    shifts = {"cmc": (0.0, 0.01, 0.02), "moco": (0.1, 0.13, 0.14), "simclr": (0.02, 0.01, 0.05)}
    stream = one_stream(
        *(write_run(tmp_path / f"{m}{s}", m, s, x) for m, each in shifts.items() for s, x in enumerate(each))
    )
    moco, simclr = tables.paired_rows(stream, "ridge", "all")
    raw = [float(ttest_rel(shifts[m], shifts["cmc"]).pvalue) for m in ("moco", "simclr")]
    assert raw[0] < raw[1], "so the first counts twice"
    assert moco.cells[0].note == f"p = {2 * raw[0]:.3f}" and simclr.cells[0].note == f"p = {raw[1]:.2f}"
    assert str(moco.cells[0]) == "+11.3 ± 2.9", "the note is for the page"
