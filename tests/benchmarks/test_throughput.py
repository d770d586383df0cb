"""Does the speed benchmark measure what it says, and tell mistakes in one line?"""

import json
import re
import sys

import pytest
import throughput
import torch
from speed import feature_extraction, machine, rows, scaling
from speed.case import Case
from speed.peers import PlainAvalanche
from speed.timing import in_turn, ratios, spread
from speed.training_step import PARTS, Bare, Whole

MOCO = Case("moco", "smallconv", 8, 16, "fp32", "cpu")


def test_measurements_alternate_after_a_round_that_does_not_count():
    order, numbers = [], iter(range(100))

    def measure(name):
        order.append(name)
        return next(numbers)

    assert in_turn(2, lambda: measure("a"), lambda: measure("b")) == [[2, 4], [3, 5]]
    assert order == ["a", "b"] * 3


def test_spread_and_ratios():
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert spread([3.0, 1.0, 2.5]) == "2.50 (1.00-3.00)"


def test_whole_step_writes_the_memory_and_leaves_no_clock_behind():
    whole = Whole(MOCO, 3)
    queue = whole.strategy.model.queue
    assert whole() > 0
    assert queue.n_enqueued == 4 * 8  # one step is not counted
    parts = whole.shares()
    assert [*parts] == [*PARTS, "rest"]
    assert all(parts[name] > 0 for name in PARTS)
    assert "embed" not in vars(whole.strategy.model)
    assert "backward" not in vars(whole.strategy)


@pytest.mark.parametrize("name", ["moco", "pirl", "swav_multicrop", "cpc"])
def test_bare_network_is_trained_on_ready_views_and_stays_as_it_is(name):
    bare = Bare(MOCO._replace(strategy=name, size=32), 2)
    before = [p.clone() for p in bare.strategy.model.parameters()]
    assert bare() > 0
    assert all(torch.equal(a, b) for a, b in zip(before, bare.strategy.model.parameters()))
    assert all(p.grad is not None for p in bare.strategy.model.encoder.parameters())
    assert bare.views_an_image == {"moco": 2, "pirl": 10, "swav_multicrop": 4, "cpc": 49}[name]


def test_flops_are_those_of_forward_and_backward():
    """Of the supervised reference: three products a layer, but two of the first, whose input needs no gradient."""
    case = MOCO._replace(strategy="supervised", size=32)
    first = 2 * 32 * 32 * 32 * 3 * 9
    others = sum(2 * (32 >> i) ** 2 * (32 << i) * (16 << i) * 9 for i in (1, 2, 3)) + 2 * 256 * (256 + 100)
    assert Bare(case, 1).flops() == 8 * (2 * first + 3 * others)


def test_table_and_json(tmp_path, capsys):
    file = tmp_path / "speed.json"
    arguments = ["--batch-size", "8", "--size", "16", "--steps", "1", "--rounds", "2", "--precision", "fp32"]
    assert throughput.main(["--strategy", "simclr,moco", *arguments, "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3::2]] == ["simclr", "moco"]
    assert re.match(r"  fp32, bare [\d,]+ GFLOP/s, \d+ % of a matrix product's; % of a step: data", lines[4])
    row = json.loads(file.read_text())["rows"][1]
    assert len(row["whole_seconds"]) == len(row["bare_seconds"]) == 2
    assert row["strategy"] == "moco" and row["views_an_image"] == 2
    assert {*row["parts_seconds"]} == {*PARTS, "rest"}


def test_several_batches_and_one_that_has_no_room(monkeypatch, capsys):
    class Greedy(Whole):
        def __init__(self, case, steps, settings):
            if case.batch > 16:
                torch.empty(2**60)  # says of itself that there is no room
            super().__init__(case, steps, settings)

    monkeypatch.setattr(rows, "Whole", Greedy)
    arguments = ["--batch-size", "8,32,16", "--size", "16", "--steps", "1", "--rounds", "1", "--precision", "fp32"]
    assert throughput.main(["--strategy", "simclr", *arguments]) == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()[3:] if line[0] != " "]
    assert [words[2] for words in told] == ["8", "32", "16"]
    assert told[1][3:] == ["out", "of", "memory", "in", "fp32"]


def test_the_rate_of_a_matrix_product_is_one_of_a_computer():
    assert 1e8 < machine.product_rate("cpu", "fp32") < 1e15


@pytest.mark.parametrize("peer", ["avalanche", "lightly"])
def test_peer_and_ours_in_turn(peer, capsys):
    if peer == "lightly":
        pytest.importorskip("lightly", reason="an optional dependency")
    arguments = ["--batch-size", "8", "--steps", "1", "--rounds", "2", "--workers", "0"]
    names = "moco,simclr,byol,swav"
    assert throughput.main(["--strategy", names, *arguments, "--peer", peer]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:]] == [*names.split(","), "ratio"]
    assert re.fullmatch(r"ratio \d+\.\d\d \(\d+\.\d\d-\d+\.\d\d\)", lines[-1])


def test_plain_avalanche_writes_the_memory_of_its_method():
    peer = PlainAvalanche(MOCO, 2, 0)
    queue = peer.strategy.model.method.queue
    before = queue.rows.clone()
    assert peer() > 0
    assert queue.n_enqueued == 3 * 8 and (queue.rows != before).any(1).sum() == 3 * 8


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
    assert [len(row[name]) for row in figures["features"] for name in ("whole", "bare", "share")] == [1, 1, 1]
    rows = [row["row"] for row in figures["scale"]]
    assert rows == ["2", "4", "16x16", "32x32", "8", "16", "8", "16", "2 + 0", "2 + 1", 3, 5]
    assert all(row["seconds"][0] > 0 for row in figures["scale"])
    assert "bare encoder" in capsys.readouterr().out


def test_banks_that_grow_are_full():
    whole = scaling._filled(Whole(MOCO._replace(strategy="cmc_bank"), 1, {"capacity": 5000}))
    assert whole.strategy.model.bank.n_written == 5000


def test_missing_lightly_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lightly", None)
    assert throughput.main(["--strategy", "moco", "--peer", "lightly"]) == 2
    told = capsys.readouterr()
    assert "lightly, which is not installed: pip install" in told.err and told.err.count("\n") == 1
    assert not told.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing chosen"),
        (["--strategy", "mocco"], "did you mean 'moco'"),
        (["--strategy", "moco", "--encoder", "resnet81"], "did you mean 'resnet18'"),
        (["--strategy", "moco", "--precision", "fp23"], "precision 'fp23'"),
        (["--strategy", "moco", "--steps", "0"], "--steps is 0"),
        (["--strategy", "moco", "--batch-size", "64,1"], "--batch-size is 1"),
        (["--strategy", "moco", "--peer", "lightning"], "did you mean 'lightly'"),
        (["--strategy", "cmc", "--peer", "lightly"], "strategy for --peer lightly 'cmc'"),
        (["--strategy", "cpc", "--peer", "avalanche"], "strategy for --peer avalanche 'cpc'"),
        (["--strategy", "moco", "--set", "temprature=1"], "did you mean 'temperature'"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert throughput.main(arguments) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
