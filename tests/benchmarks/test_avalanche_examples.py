"""The rewritten examples of Avalanche run, on a small MNIST in its format on disk, and measure what they say."""

import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.strategies import assert_same, state
from sklearn.datasets import load_digits

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")]

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "benchmarks/avalanche_examples").glob("*.py"))


def idx(values: np.ndarray) -> bytes:
    """An array of bytes in MNIST's format: its number of axes, their sizes, the bytes."""
    return bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes() + values.astype(np.uint8).tobytes()


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digits of scikit-learn, enlarged, as MNIST: 800 for training and 300 for testing."""
    images, labels = load_digits(return_X_y=True)
    images = np.pad(images.reshape(-1, 8, 8).repeat(3, 1).repeat(3, 2) * 15.9, ((0, 0), (2, 2), (2, 2)))
    root = tmp_path_factory.mktemp("mnist")
    for name, rows in (("train", slice(800)), ("t10k", slice(800, 1100))):
        folder = root / "MNIST" / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images[rows]))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels[rows]))
    return str(root)


@pytest.fixture
def run(mnist: str):
    def call(name: str, *arguments: object):
        torch.manual_seed(0)
        module = importlib.import_module(f"avalanche_examples.{name}")
        return module.main(["--data", mnist, *map(str, arguments)])

    return call


def test_there_are_seven_examples() -> None:
    assert NAMES == [
        "all_mnist_early_stopping",
        "checkpointing",
        "confusion_matrix",
        "eval_plugin",
        "joint_training",
        "multihead",
        "online_replay",
    ]


@pytest.mark.parametrize("kind", ["split", "permuted", "rotated"])
def test_early_stopping(run, kind: str) -> None:
    strategy = run("all_mnist_early_stopping", "--kind", kind, "--epochs", 4, "--patience", 1)
    longest = 4 * (5 * (160 // 64) if kind == "split" else 3 * (800 // 64))
    assert 0 < strategy.clock.train_iterations < longest
    assert strategy.evaluator.get_last_metrics()["Top1_Acc_Stream/eval_phase/test_stream/Task000"] > 0.5


def test_eval_plugin(run, tmp_path: Path) -> None:
    results = run("eval_plugin", "--epochs", 1, "--out", tmp_path)
    names = {name.partition("/")[0] for name in results}
    assert names >= {"Loss_Epoch", "Loss_MB", "LearningRate_Epoch", "Top1_Acc_Stream", "StreamForgetting", "StreamBWT"}
    assert names >= {"StreamForwardTransfer", "Time_Epoch", "CPUUsage_Exp", "ProbeAverageAccuracy_ridge_all"}
    with (tmp_path / "training_results.csv").open() as file:
        losses = [float(row["training_loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 5 and all(2 < loss < 6 for loss in losses)


def test_checkpointing(run, tmp_path: Path) -> None:
    whole = run("checkpointing", "--epochs", 1, "--checkpoint", tmp_path / "whole")
    for _ in range(3):
        parts = run("checkpointing", "--epochs", 1, "--checkpoint", tmp_path / "parts", "--at-most", 2)
    assert parts.clock.train_exp_counter == 5
    assert_same(state(whole), state(parts))


def test_online_replay(run) -> None:
    matrix = run("online_replay")
    assert matrix.shape == (5, 5) and np.isfinite(matrix).all() and matrix[-1].mean() > 0.5


def test_joint_training(run) -> None:
    accuracies = run("joint_training")
    assert accuracies.shape == (3,) and (accuracies > 0.3).all()


def test_multihead(run) -> None:
    matrix = run("multihead", "--epochs", 1)
    assert matrix.shape == (5, 5) and matrix[-1].mean() > 0.8, "two classes a task"


def test_confusion_matrix(run, tmp_path: Path) -> None:
    matrix = run("confusion_matrix", "--epochs", 1, "--out", tmp_path)
    assert matrix.shape == (10, 10) and matrix.sum() == 300
    assert matrix.trace() > 150
    assert list(tmp_path.rglob("events*"))
