"""The code that README and CONTRIBUTING show runs."""

from pathlib import Path
from typing import Any

import pytest
from helpers.docs import block
from helpers.encoders import tiny

from avalanche_ssl import check_method, models, streams
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.recipes.loading import load_recipe


def test_contributings_method_runs(tmp_path: Path, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    path = tmp_path / "mine.py"
    path.write_text(block("CONTRIBUTING.md", "class BarlowTwins"), encoding="utf-8")
    recipe = load_recipe(str(path)).override({"output_dim": 16, "epochs": 1, "lr": 0.02})
    assert {"output_dim", "weight", "augment"} <= recipe.settings.keys()
    check_method(recipe.build_method())
    losses: list[float] = []
    strategy = recipe.build()
    strategy.plugins.append(type("Spy", (), {"after_training_iteration": lambda _, s, **k: losses.append(s.loss)})())
    strategy.train(digits.train_stream[0], eval_streams=[])
    assert losses[-1] < losses[0]


def test_readmes_script_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a smaller encoder and a stream that needs no download."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "resnet18", tiny)
    monkeypatch.setattr(streams, "split_cifar10", lambda experiences: streams.split_digits(2, composites=2))
    names: dict[str, Any] = {}
    exec(compile(block("README.md", "split_cifar10"), "README.md", "exec"), names)
    assert names["plugins"][0].trained == 2
    out = capsys.readouterr().out
    for name in ("Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp001", "StreamForgetting", "ProbeForgetting_ridge_all"):
        assert name in out, name
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator("tb").Reload()
    scalars, pictures = board.Tags()["scalars"], board.Tags()["images"]
    assert {
        "Probe_knn-20_task/eval_phase/test_stream/Exp001",
        "ProbeAverageAccuracy_ridge_all/eval_phase/test_stream",
    } <= {*scalars}
    matrix = names["plugins"][0].matrix("all")
    averages = [e.value for e in board.Scalars("ProbeAverageAccuracy_ridge_all/eval_phase/test_stream")]
    assert averages == pytest.approx([matrix[0, 0], matrix[1].mean()])
    assert "ProbeMatrix_ridge_all/eval_phase/test_stream" in pictures
    assert (tmp_path / "tb" / "projector_config.pbtxt").exists()
    assert "ConfusionMatrix_Stream" in out


def test_the_script_from_naive_to_self_supervised_runs(
    digits: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a smaller encoder and a stream that needs no download."""
    monkeypatch.setattr("avalanche_ssl.models.smallconv", lambda in_channels: tiny())
    monkeypatch.setattr("avalanche.benchmarks.classic.SplitMNIST", lambda n_experiences: digits)
    names: dict[str, Any] = {}
    exec(compile(block("avalanche_ssl/training/README.md", "SplitMNIST"), "README.md", "exec"), names)
    out = capsys.readouterr().out
    for name in ("Top1_Acc_Stream", "StreamForgetting", "Loss_Epoch", "LearningRate_Epoch"):
        assert name in out, name
