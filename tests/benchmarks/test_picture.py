"""The command picture.py: one picture of runs on one stream; README names the command that made its own."""

import re
from pathlib import Path

import picture
import pytest
from helpers.logs import write_run

from avalanche_ssl.cli.sweep import plan

ROOT = Path(__file__).parents[2]


def test_runs_on_one_stream_become_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / name, strategy=name) for name in ("cmc", "moco")]
    assert picture.main([*map(str, runs), "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert f"written: {tmp_path / 'a.png'}" in capsys.readouterr().out


def test_runs_on_several_streams_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / name, benchmark=name) for name in ("digits", "cifar")]
    assert picture.main([*map(str, runs), "--out", str(tmp_path / "a.png")]) == 2
    assert "the runs are on 2 streams" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_the_commands_beside_readmes_picture_exist(tmp_path: Path) -> None:
    """The documented sweep makes nine runs, and the picture is written where README shows it."""
    text = picture.__doc__ or ""
    strategies, seeds, out = re.findall(r"--strategy (\S+) --seeds (\S+) --out (\S+)", text)[0]
    assert len(plan(strategies, "none", seeds, [], tmp_path)) == 9
    shown = re.findall(r"!\[.*\]\((\S+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown == re.findall(r"picture\.py \S+ --out (\S+)", text) == ["benchmarks/report-split-digits.png"]
    assert f"picture.py {out}/*/" in text
    assert "python benchmarks/picture.py" in (ROOT / "README.md").read_text(encoding="utf-8")
