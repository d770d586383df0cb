"""The command that probes the encoder of a run on another stream."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.untrained_run import pictures, untrained_run

from avalanche_ssl.cli import probe
from avalanche_ssl.cli.command import COMMANDS


def test_the_command_prints_a_table_and_prints_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    untrained_run(Path("run"))
    pictures(Path("photos"), {"a": 8, "b": 8})
    given = ["run", "--data", "photos", "--benchmark-option", "size=16", "--probes", "ridge,ncm"]
    assert probe.main([*given, "--device", "cpu"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "run on folder: accuracy in per cent on 4 test images, fitted on 12"
    assert out[1].split() == ["encoder", "ridge", "ncm"]
    assert [line[: len("raw pixels 16x16")].strip() for line in out[2:6]] == [
        "run",
        "untrained",
        "raw pixels 16x16",
        "chance",
    ]
    assert out[2].split()[1:] == out[3].split()[1:], "this run is untrained"
    assert out[5].split()[1:] == ["50.0", "50.0"]
    assert out[6].startswith("-> run/probe/folder-") and out[6].endswith(".jsonl")
    assert probe.main([*given, "--device", "cpu"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[:6] == out[:6] and again[6] == f"{out[6]} (complete already)"


def test_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert "probe" in COMMANDS
