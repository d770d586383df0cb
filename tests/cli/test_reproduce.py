"""The command `avalanche-ssl reproduce`: what it lists, prints, refuses, trains and goes on with."""

from pathlib import Path

import pytest
import torch
from helpers.encoders import tiny
from helpers.jobs import in_this_process

from avalanche_ssl.cli import reproduce
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.reproductions import read_entries


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_entry_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == sorted(
        read_entries(),
        key=lambda name: [e.paper for e in read_entries().values()].index(read_entries()[name].paper),
    )
    (line,) = [line for line in lines if "cla/cifar100/high/simclr/iid " in line]
    assert line.split(maxsplit=2)[1:] == ["42.9", "GPU, 4 to 6 minutes on an H200 (estimate)"]


def test_the_commands_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    given = [
        "cla/cifar100/low/simclr/replay",
        "--seeds",
        "0,1",
        "--data",
        "here",
        "--dry-run",
        "--",
        "--encoder",
        "resnet18",
    ]
    assert reproduce.main(given) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "avalanche-ssl run --strategy simclr --benchmark folder --data here --benchmark-option experiences=20 "
        "--online-batch-size 10 --probes ridge,cla --probe-every-experiences 20 --stream-seed 0 --precision fp32 "
        "--set encoder=resnet9 --set optimizer=sgd --set lr=0.03 --set weight_decay=0.0001 --set temperature=0.5 "
        "--set epochs=1 --plugin replay --set replay.size=2000 --set replay.batch=20 --set replay.policy=reservoir "
        "--seed 0 --encoder resnet18 --out runs/reproductions/cla-cifar100-low-simclr-replay-s0"
    )
    assert "--seed 1 --encoder resnet18 --out runs/reproductions/cla-cifar100-low-simclr-replay-s1" in second
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no entry: give the name of one, see --list"),
        (
            ["tiny/digits/simclr/replya"],
            "no entry 'tiny/digits/simclr/replya': did you mean 'tiny/digits/simclr/replay'?",
        ),
        (["tiny/digits/simclr", "--seeds", "x"], "seed 'x': give whole numbers, e.g. --seeds 0,1,2"),
        (["tiny/digits/simclr", "--", "--seed", "3"], "--seed after `--`: give --seeds before it"),
        (["tiny/digits/simclr", "--", "--data=x"], "--data after `--`: give --data before it"),
        (["cla", "--dry-run", "--", "--encodr", "x"], "unrecognized arguments: --encodr x; see --help"),
        (["tiny/digits/simclr", "--data", "x"], "--data x: this entry is about images of the package; leave it out"),
        (["cla/cifar100/low/simclr/replay"], "no --data, which must hold CIFAR-100 as files without a tenth of its"),
        (["lump/cifar10", "--data", "x"], "lump/cifar10/5/simsiam/finetune is meant for a GPU (10 to 12 minutes on an"),
    ],
)
def test_a_mistake_is_one_line(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert reproduce.main(given) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"avalanche-ssl reproduce: {said}") and error.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_tiny_entry_is_trained_once_and_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    in_this_process(monkeypatch)
    given = ["tiny/digits/simclr", "--", "--set", "encoder=smallconv"]
    assert reproduce.main(given) == 0
    out = capsys.readouterr().out
    table = out.partition("\nentry ")[2]
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line.startswith("tiny/")}
    finetune, replay = rows["tiny/digits/simclr/finetune"], rows["tiny/digits/simclr/replay"]
    assert finetune[1] == replay[1] == "-" and 5 < float(finetune[2]) < 100 and finetune[3] == "1"
    assert int(replay[5].replace(",", "")) > int(finetune[5].replace(",", "")), "views of replayed images"
    assert "paper: none; an entry that tests the command" in table
    assert "deviation of all: --set encoder=smallconv, as given" in table
    logs = {path: path.read_text() for path in Path("runs").rglob("log.jsonl")}
    assert len(logs) == 2
    assert reproduce.main(given) == 0
    again = capsys.readouterr().out
    assert "2 runs, 2 finished already" in again and again.partition("\nentry ")[2] == table
    assert {path: path.read_text() for path in Path("runs").rglob("log.jsonl")} == logs
