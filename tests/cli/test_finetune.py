"""The command that fine-tunes the encoder of a run."""

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
from helpers.encoders import tiny

from avalanche_ssl.cli import finetune, run
from avalanche_ssl.cli.command import Parser
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS


def test_numbers_have_spaces_or_commas_between_them() -> None:
    parser = Parser()
    parser.add_argument("--seeds", action=finetune.Numbers, kind=int, default=[0])
    parser.add_argument("--labels", action=finetune.Numbers, kind=float)
    given = [parser.parse_args(words) for words in ([], ["--seeds", "0", "1", "2"], ["--seeds", "0,1,2"])]
    assert [options.seeds for options in given] == [[0], [0, 1, 2], [0, 1, 2]]
    assert parser.parse_args(["--labels", "0.1,1"]).labels == [0.1, 1.0]
    with pytest.raises(UsageError, match=r"^--labels 10%: give numbers, e\.g\. 0\.1 1$"):
        parser.parse_args(["--labels", "10%"])
    with pytest.raises(UsageError, match=r"^--seeds 0,: give whole numbers, e\.g\. 0 1 2$"):
        parser.parse_args(["--seeds", "0,"])


@pytest.mark.slow
def test_the_command_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", partial(tiny))
    short = ["--experiences", "2", "--epochs", "1", "--benchmark-option", "composites=2", "--out", "a"]
    assert run.main(["--strategy", "simclr", *short]) == 0
    capsys.readouterr()

    several = ["a", "--protocol", "frozen", "scratch", "--head", "linear", "mlp", "--labels", "0.05", "0.1"]
    several += ["--epochs", "2", "1", "--test-every", "0"]
    assert finetune.main([*several, "--seeds", "0", "--batch-size", "16"]) == 0
    assert "frozen, linear head, 5 % of the labels, seed 0: epoch   1  loss" in capsys.readouterr().out
    assert finetune.main([*several, "--seeds", "0", "1", "--batch-size", "16"]) == 0
    out = capsys.readouterr().out
    assert "8 of 16 trainings are complete already in a/finetune\n" in out and "seed 0: epoch" not in out
    assert "mean ± 95 % interval (of three or more) over seeds 0, 1 " in " ".join(out.split())
    assert "scratch, mlp" in out and out.endswith("-> a/finetune/finetune.csv\n-> a/finetune/finetune.md\n")
    rows = list(csv.DictReader(Path("a/finetune/finetune.csv").read_text().splitlines()))
    assert len(rows) == 8 and {row["seeds"] for row in rows} == {"2"}
    log = Path("a/finetune/finetune-frozen-linear-0.05-s0.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in log]
    names = ["fine_tuning", "fine_tuning_epoch", "fine_tuning_epoch", "fine_tuning_end"]
    assert [e["event"] for e in events] == names and "accuracy" not in events[1]
    logs = [Path(f"a/finetune/finetune-frozen-linear-0.05-s{seed}.jsonl").read_text() for seed in (0, 1)]
    mean = sum(json.loads(log.splitlines()[-1])["accuracy"] for log in logs) / 2
    assert float(rows[0]["mean"]) == pytest.approx(mean, abs=1e-6)

    elsewhere = ["--benchmark", "rotated-digits", "--benchmark-option", "composites=2", "--labels", "0.05"]
    assert finetune.main(["a", *elsewhere, "--epochs", "1", "--seed", "3", "--device", "cpu", "--out", "b/c"]) == 0
    assert "a on rotated-digits: linear head; accuracy in percent on" in capsys.readouterr().out
    first, *_ = [json.loads(line) for line in Path("b/c/finetune-frozen-linear-0.05-s3.jsonl").read_text().splitlines()]
    settings = first["settings"]
    assert (settings["benchmark"], settings["device"], first["run"], settings["epochs"]) == (
        "rotated-digits",
        "cpu",
        "a",
        1,
    )
    assert settings["benchmark_options"]["composites"] == 2

    Path("file").write_text("")
    for wrong, message in (
        (["--out", "file/b"], "cannot write to file/b"),
        (["--device", "cpx"], "no device 'cpx'"),
        (["--batch-size", "0"], "batch_size"),
        (
            ["--protocol", "scrach"],
            "no protocol 'scrach': did you mean 'scratch'? (frozen, first-K with K from 1, full, scratch)",
        ),
        (["--labels", "2"], "--labels 2: give a share above 0 and at most 1"),
        (["--data", "nowhere"], "nowhere"),
        (["--head", "mpl"], "invalid choice: 'mpl'"),
        ([*several[1:], "--lr", "1"], "batch_size was 16, is 128; lr was 0.001, is 1.0): give another --out"),
    ):
        assert finetune.main(["a", *wrong]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    shutil.copy("a/config.yaml", "a/encoder.pt")
    assert finetune.main(["a"]) == 2
    assert "cannot use a/encoder.pt" in capsys.readouterr().err
