"""Do the three fine-tuning protocols train what they say, and nothing else?"""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.encoders import tiny

from avalanche_ssl.cli import finetune, run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.fine_tuning import fine_tune, stages_to_freeze
from avalanche_ssl.methods import CMC, SimCLR
from avalanche_ssl.models.encoders import ENCODERS


def changed(before, after):
    """Names of what moved, statistics included."""
    return {k for k, v in before.state_dict().items() if not torch.equal(v, after.state_dict()[k])}


@pytest.mark.parametrize("make", [lambda: SimCLR(tiny), lambda: CMC(tiny, negatives="batch")])
@pytest.mark.parametrize("protocol", ["frozen", "first-2", "full"])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_only_what_the_protocol_names_is_trained(digits, make, protocol, head):
    method, before = make(), torch.get_rng_state()
    original = {k: v.clone() for k, v in method.state_dict().items()}
    train, test = ([e.dataset for e in s][:1] for s in (digits.train_stream, digits.test_stream))
    model, curve = fine_tune(method, train, test, 10, protocol, head=head, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(v, original[k]) for k, v in method.state_dict().items()), "the original is left alone"
    moved = changed(method.encoder, model.method.encoder)
    stages = {k.split("stages.")[1].split(".")[0] for k in moved}
    assert stages == {"frozen": set(), "first-2": {"2", "3"}, "full": {"0", "1", "2", "3"}}[protocol]
    assert [e.epoch for e in curve] == [1] and 0 <= curve[0].accuracy <= 1


def test_it_learns_the_same_for_the_same_seed(digits):
    torch.manual_seed(0)
    method = SimCLR(tiny)
    train, test = ([e.dataset for e in s] for s in (digits.train_stream, digits.test_stream))
    (_, first), (_, again) = (
        fine_tune(method, train, test, 10, "full", epochs=5, lr=0.01, batch_size=32) for _ in range(2)
    )
    assert first == again
    assert first[-1].accuracy > 0.2 and first[-1].loss < first[0].loss


def test_unknown_protocols_and_too_many_stages_are_refused(digits):
    assert [stages_to_freeze(p) for p in ("frozen", "full", "first-3")] == [None, 0, 3]
    for wrong in ("first", "first-0", "first-x", "half", ""):
        with pytest.raises(UsageError, match="give frozen, full, or first-K"):
            stages_to_freeze(wrong)
    data = [digits.train_stream[0].dataset]
    with pytest.raises(UsageError, match="first-9: the encoder has 4 stages"):
        fine_tune(SimCLR(tiny), data, data, 10, "first-9")


def test_the_command_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", partial(tiny))
    short = ["--experiences", "2", "--epochs", "1", "--stream", "composites=2", "--out", "a"]
    assert run.main(["--strategy", "simclr", *short]) == 0
    assert finetune.main(["a", "--downstream", "frozen", "scratch", "--epochs", "1", "--labels", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "linear head, 10 % of the labels, 1 epochs" in out and "scratch" in out.splitlines()[-1]
    events = [json.loads(line) for line in Path("a/downstream-frozen.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events] == ["run", "epoch"] and 0 <= events[1]["accuracy"] <= 1
    more = ["--labels", "0.05", "--epochs", "1", "--batch-size", "16", "--device", "cpu", "--out", "b/c"]
    assert finetune.main(["a", *more]) == 0
    first, *_ = [json.loads(line) for line in Path("b/c/downstream-frozen.jsonl").read_text().splitlines()]
    assert (first["batch_size"], first["device"], first["run"], first["epochs"]) == (16, "cpu", "a", 1)
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
    assert finetune.main(["a", "--downstream", "nothing"]) == 2
    shutil.copy("a/config.yaml", "a/encoder.pt")
    assert finetune.main(["a"]) == 2
    assert "cannot use a/encoder.pt" in capsys.readouterr().err
