"""Runs in processes of their own; `test_sweep.py` has what is skipped, resumed and refused."""

import sys
from pathlib import Path

import pytest

from avalanche_ssl.cli import jobs

SLOW = """
import pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
(out.parent / f"{out.name}.began").touch()
while len(list(out.parent.glob("*.began"))) < 2: time.sleep(0.01)
"""
"""Instead of the command of a run: it ends when two have begun."""


def test_several_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.py").write_text(SLOW)
    monkeypatch.setattr(jobs, "RUN", [sys.executable, str(tmp_path / "run.py")])
    words = ["--strategy", "simclr", "--device", "cpu", "--precision", "fp32"]
    assert jobs.run_jobs({tmp_path / name: words for name in "ab"}, processes=2) == []
    assert capsys.readouterr().out.startswith("2 runs, 0 finished already\n")


def test_a_command_can_be_pasted_into_a_shell() -> None:
    words = ["--strategy", "simclr", "--data", "my images"]
    assert jobs.command_of(Path("runs/a"), words) == (
        "avalanche-ssl run --strategy simclr --data 'my images' --out runs/a"
    )
