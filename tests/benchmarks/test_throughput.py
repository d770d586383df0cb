"""The command throughput.py: its tables, its figures in JSON, its errors in one line."""

import json
import re
import sys

import pytest
import throughput
import torch
from speed import feature_extraction, rows, scaling
from speed.training_step import PARTS, FullStep


def test_table_and_json(tmp_path, capsys):
    file = tmp_path / "speed.json"
    arguments = ["--batch-size", "8", "--size", "16", "--steps", "1", "--rounds", "2", "--precision", "fp32"]
    assert throughput.main(["--strategy", "simclr,moco", *arguments, "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3::2]] == ["simclr", "moco"]
    assert re.match(r"  fp32, bare [\d,]+ GFLOP/s, \d+ % of a matrix product's; % of a step: data", lines[4])
    row = json.loads(file.read_text())["rows"][1]
    assert len(row["full_seconds"]) == len(row["bare_seconds"]) == 2
    assert row["strategy"] == "moco" and row["views_per_image"] == 2
    assert {*row["parts_seconds"]} == {*PARTS, "rest"}


def test_several_batches_and_one_that_has_no_room(monkeypatch, capsys):
    class Greedy(FullStep):
        def __init__(self, case, steps, settings):
            if case.batch > 16:
                torch.empty(2**60)  # raises that there is no room
            super().__init__(case, steps, settings)

    monkeypatch.setattr(rows, "FullStep", Greedy)
    arguments = ["--batch-size", "8,32,16", "--size", "16", "--steps", "1", "--rounds", "1", "--precision", "fp32"]
    assert throughput.main(["--strategy", "simclr", *arguments]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[3:] if line[0] != " "]
    assert [words[2] for words in lines] == ["8", "32", "16"]
    assert lines[1][3:] == ["out", "of", "memory", "in", "fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["avalanche", "lightly"])
def test_peer_and_ours_in_turn(peer, capsys):
    if peer == "lightly":
        pytest.importorskip("lightly", reason="an optional dependency")
    arguments = ["--batch-size", "8", "--steps", "1", "--rounds", "2", "--num-workers", "0"]
    names = "moco,simclr,byol,swav"
    assert throughput.main(["--strategy", names, *arguments, "--peer", peer]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:]] == [*names.split(","), "ratio"]
    assert re.fullmatch(r"ratio \d+\.\d\d \(\d+\.\d\d-\d+\.\d\d\)", lines[-1])


@pytest.mark.slow
def test_features_and_scale_go_to_the_json(tmp_path, monkeypatch, capsys):
    for name, values in {"BATCHES": (2, 4), "SIZES": (16, 32), "ROWS": (8, 16), "CROPS": (0, 1)}.items():
        monkeypatch.setattr(scaling, name, values)
    monkeypatch.setattr(scaling, "EXPERIENCES", (3, 5, 1000))
    monkeypatch.setattr(scaling, "BLOCK", 2)
    monkeypatch.setattr(feature_extraction, "BATCH", 8)
    file = tmp_path / "speed.json"
    arguments = ["--features", "--scale", "5", "--batch-size", "4", "--steps", "1", "--rounds", "1"]
    assert throughput.main([*arguments, "--clock", "processor", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    names = ("extraction_seconds", "bare_seconds", "share")
    assert [len(row[name]) for row in figures["features"] for name in names] == [1, 1, 1]
    found = [row["row"] for row in figures["scale"]]
    assert found == ["2", "4", "16x16", "32x32", "8", "16", "8", "16", "2 + 0", "2 + 1", 3, 5]
    assert all(row["seconds"][0] > 0 for row in figures["scale"])
    assert "bare encoder" in capsys.readouterr().out


def test_missing_lightly_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lightly", None)
    assert throughput.main(["--strategy", "moco", "--peer", "lightly"]) == 2
    output = capsys.readouterr()
    assert "lightly, which is not installed: pip install" in output.err and output.err.count("\n") == 1
    assert not output.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to measure"),
        (["--strategy", "mocco"], "did you mean 'moco'"),
        (["--strategy", "moco", "--encoder", "resnet81"], "did you mean 'resnet18'"),
        (["--strategy", "moco", "--precision", "fp23"], "precision 'fp23'"),
        (["--strategy", "moco", "--steps", "0"], "--steps is 0"),
        (["--strategy", "moco", "--batch-size", "64,1"], "--batch-size is 1"),
        (["--strategy", "moco", "--peer", "lightning"], "did you mean 'lightly'"),
        (["--strategy", "cmc", "--peer", "lightly"], "strategy for --peer lightly 'cmc'"),
        (["--strategy", "cpc", "--peer", "avalanche"], "strategy for --peer avalanche 'cpc'"),
        (["--strategy", "moco", "--set", "temprature=1"], "did you mean 'temperature'"),
        (["--strategey", "moco"], "unrecognized arguments"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert throughput.main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("throughput.py: ") and err.count("\n") == 1
