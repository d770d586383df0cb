"""Runs on CORe50, from the command to the log."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.core50 import SIDE
from helpers.encoders import tiny
from helpers.fake_core50 import TRAIN, write_frames, write_lists

from avalanche_ssl import SelfSupervised
from avalanche_ssl.cli import run
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.streams.core50.index import OBJECTS, TEST_SESSIONS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*COLLAPSED"),  # to the narrow encoder, fake frames of a session are alike
]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set with its lists."""
    folder = tmp_path_factory.mktemp("core50")
    write_frames(folder, frames=2, side=SIDE)
    write_lists(folder, frames=2, runs=1)
    return folder


def go(root: Path, out: Path, scenario: str, *more: str) -> list[dict[str, Any]]:
    """A small run; its log."""
    given = ["--strategy", "moco", "--benchmark", f"core50-{scenario}", "--data", str(root), "--out", str(out)]
    given += ["--benchmark-option", f"size={SIDE}", "--set", f"augment.size={SIDE}", "--set", "output_dim=8"]
    given += ["--set", "lr=0.0001", "--device", "cpu", *more]
    assert run.main(given) == 0
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_in_a_single_pass(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every frame is trained on once; tables by session are on screen, and in the log."""
    options = ["--online-batch-size", "20", "--probe-every-experiences", "40"]
    log = go(root, tmp_path / "a", "nicv2-79", *options)
    out = capsys.readouterr().out
    for text in (
        "  session  session  session  ",
        "       s3       s7      s10  object  category  instance  background",
        "chance",
        "experience 79/79",
        "\nall images ",
    ):
        assert text in out, text

    def events(name: str) -> list[dict[str, Any]]:
        return [event for event in log if event["event"] == name]

    assert events("run")[0]["config"]["probes"] == "core50"
    assert {event["experiences_trained"] for event in events("probe")} == {0, 40, 79}
    results = [event for event in events("task") if event["task"] == "object"]
    assert [(event["experiences_trained"], event["full_test_set"]) for event in results] == [
        (0, False),
        (40, False),
        (79, False),
        (79, True),
    ]
    (full_test,) = events("full_test")
    assert full_test["images_tested"] == 2 * OBJECTS * len(TEST_SESSIONS)
    assert full_test["accuracy"] == pytest.approx(results[-1]["accuracy"])
    assert all(event["by_group"]["session"].keys() == {"s3", "s7", "s10"} for event in results)
    assert events("experience")[-1]["images_trained"] == 2 * OBJECTS * len(TRAIN)


def test_video_order_reaches_the_strategy(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = SelfSupervised.make_train_dataloader
    loaders: list[bool] = []
    monkeypatch.setattr(
        SelfSupervised,
        "make_train_dataloader",
        lambda self, shuffle=True, **kw: loaders.append(shuffle) or make(self, shuffle=shuffle, **kw),
    )
    for order in ("video", "shuffled"):
        options = ["--benchmark-option", f"order={order}", "--epochs", "1", "--probe-every-experiences", "9"]
        go(root, tmp_path / order, "ni", *options)
    assert loaders == [False] * 8 + [True] * 8
