"""The command that fine-tunes the encoder of a run."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from helpers.encoders import tiny

from avalanche_ssl.cli import finetune, run
from avalanche_ssl.models.encoders import ENCODERS


@pytest.mark.slow
def test_the_command_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", partial(tiny))
    short = ["--experiences", "2", "--epochs", "1", "--benchmark-option", "composites=2", "--out", "a"]
    assert run.main(["--strategy", "simclr", *short]) == 0
    assert finetune.main(["a", "--protocol", "frozen", "scratch", "--epochs", "1", "--labels", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "linear head, 10 % of the labels, 1 epoch\n" in out and "scratch" in out.splitlines()[-1]
    events = [json.loads(line) for line in Path("a/finetune-frozen.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events] == ["fine_tuning", "fine_tuning_epoch"] and 0 <= events[1]["accuracy"] <= 1
    more = ["--labels", "0.05", "--epochs", "1", "--batch-size", "16", "--device", "cpu", "--out", "b/c"]
    assert finetune.main(["a", *more]) == 0
    first, *_ = [json.loads(line) for line in Path("b/c/finetune-frozen.jsonl").read_text().splitlines()]
    settings = first["settings"]
    assert (settings["batch_size"], settings["device"], first["run"], settings["epochs"]) == (16, "cpu", "a", 1)
    capsys.readouterr()
    Path("file").write_text("")
    for wrong, message in (
        (["--out", "file/b"], "cannot write to file/b"),
        (["--device", "cpx"], "no device 'cpx'"),
        (["--batch-size", "0"], "batch_size"),
    ):
        assert finetune.main(["a", *wrong]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert finetune.main(["a", "--protocol", "nothing"]) == 2
    shutil.copy("a/config.yaml", "a/encoder.pt")
    assert finetune.main(["a"]) == 2
    assert "cannot use a/encoder.pt" in capsys.readouterr().err
