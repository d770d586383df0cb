"""Published numbers beside ours, by hand."""

from pathlib import Path
from typing import Any

from helpers.logs import changed, write_run

from avalanche_ssl.reproductions import Entry, results_text
from avalanche_ssl.reproductions.results import cells
from avalanche_ssl.runs import read_run


def entry(name: str = "a/b", published: float | None = 58.0, **more: Any) -> Entry:
    given = {"spread": None, "evidence": "read" if published else "none", "deviations": ("both", "mine")} | more
    return Entry(
        name=name,
        paper="Paper",
        table="Table 1",
        published=published,
        seeds="one",
        metric="average accuracy",
        probe="ridge",
        scope="all",
        time="seconds",
        gpu=False,
        data="embedded",
        options={"strategy": "simclr", "probes": "ridge"},
        **given,
    )


def test_a_row_by_hand(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / str(s), seed=s, shift=0.01 * s)) for s in range(3)]
    assert cells(entry(spread=0.4), runs) == ["58.0 ± 0.4", "61.0 ± 2.5", "3", "+3.0", "200", "10", "2"]
    assert cells(entry(), runs[:1]) == ["58.0", "60.0", "1", "+2.0", "200", "10", "2"]
    assert cells(entry(published=None), runs[:1])[:4] == ["-", "60.0", "1", "-"]
    assert cells(entry(), []) == ["58.0", "-", "0", "-", "-", "-", "-"]


def test_a_spread_of_the_paper_is_a_standard_deviation_and_ours_an_interval(tmp_path: Path) -> None:
    lines = results_text([(entry(spread=0.4), [read_run(write_run(tmp_path / "a"))])], width=200).splitlines()
    assert lines[4:6] == [
        "percent; ours: mean over seeds ± 95 % interval (of three or more)",
        "published: ± standard deviation over the paper's seeds",
    ]


def test_what_is_said_below(tmp_path: Path) -> None:
    run = read_run(changed(write_run(tmp_path / "a"), "run", commit="abc"))
    other = entry("a/c", None, deviations=("both", "its"))
    remembered = entry("a/d", evidence="memory", deviations=("both",))
    lines = results_text([(entry(), [run]), (other, []), (remembered, [])], width=200).splitlines()
    assert lines[0].split() == ["training"]
    assert lines[1].split() == ["entry", "published", "ours", "seeds", "difference", "views", "steps", "s"]
    assert [line.split()[0] for line in lines[2:5]] == ["a/b", "a/c", "a/d"]
    assert lines[5:] == [
        "",
        "percent; ours: mean over seeds ± 95 % interval (of three or more)",
        "",
        "paper: Paper",
        "table: Table 1",
        "measured here: average accuracy by probe ridge, scope all",
        "seeds of the paper: one",
        "deviation: both",
        "deviation of a/b: mine",
        "deviation of a/c: its",
        "published number of a/c: not known to us",
        "published number of a/d: from memory, to be checked",
        "",
        "code: abc",
    ]
