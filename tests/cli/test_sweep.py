"""A sweep runs its whole grid, skips finished runs, and goes on after an interruption."""

import sys
from pathlib import Path

import pytest

from avalanche_ssl.cli import sweep
from avalanche_ssl.runs.folder import is_finished


def test_the_grid(tmp_path):
    jobs = sweep.plan("cmc,moco", "0,1", ["lr=0.1,0.2"], tmp_path)
    assert len(jobs) == 8
    assert jobs[tmp_path / "moco-lr=0.2-s1"] == ["--strategy", "moco", "--seed", "1", "--set", "lr=0.2"]


@pytest.mark.parametrize("wrong", [["--seeds", "x"], ["--grid", "lr"], ["--grid", "lr=1,"], ["--jobs", "0"]])
def test_a_mistake_is_one_line(wrong, capsys):
    assert sweep.main(["--strategy", "cmc", *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_finished_runs_are_skipped_and_others_run(tmp_path: Path, monkeypatch, capsys):
    """With a stand-in for the command that fails for one seed."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, pathlib\n"
        "a = sys.argv\nout = pathlib.Path(a[a.index('--out') + 1])\nout.mkdir(exist_ok=True)\n"
        "if a[a.index('--seed') + 1] == '2': sys.exit('no')\n"
        '(out / \'log.jsonl\').write_text(\'{"event": "run"}\\n{"event": "end"}\\n\')\n'
    )
    monkeypatch.setattr(sweep, "RUN", [sys.executable, str(script)])
    for name, tail in (("cmc-s0", '{"event": "end"}\n'), ("cmc-s1", '{"event": "pro')):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "log.jsonl").write_text('{"event": "run"}\n' + tail)
    given = ["--strategy", "cmc", "--seeds", "0,1,2", "--out", str(tmp_path / "out"), "--jobs", "2"]
    assert sweep.main(given) == 1
    out = capsys.readouterr().out
    assert "3 runs, 1 finished already" in out and f"failed: {tmp_path / 'out' / 'cmc-s2'}" in out
    assert (tmp_path / "out" / "cmc-s2.txt").read_text() == "no\n"
    assert is_finished(tmp_path / "out" / "cmc-s1")
    assert sweep.main([*given[:3], "0,1", *given[4:]]) == 0
    assert "2 finished already" in capsys.readouterr().out
