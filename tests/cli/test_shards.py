"""The command packs images, indexes shards, and says mistakes in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.shards import pack
from helpers.untrained_run import pictures

from avalanche_ssl.cli import shards
from avalanche_ssl.data import find_index
from avalanche_ssl.streams import shards as stream


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_becomes_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """Classes are numbered and named as `folder` does it, and no image is missing."""
    pictures(Path("data/train"), {"b": 7, "a": 6})
    pictures(Path("data/test"), {"b": 2, "a": 3})
    assert shards.main(["--data", "data", "--out", "out", "--images-per-shard", "5"]) == 0
    found, done = capsys.readouterr().out.splitlines()
    assert found == "found 2 classes in 'data' (a, b)"
    assert done == "18 images in 4 shards: avalanche-ssl run --benchmark shards --data out"
    benchmark = stream("out", size=8)
    assert benchmark.class_names == ["a", "b"]
    (train,), (test,) = benchmark.train_stream, benchmark.test_stream
    assert [sum(y == k for y in train.dataset.targets) for k in (0, 1)] == [6, 7]
    assert [sum(y == k for y in test.dataset.targets) for k in (0, 1)] == [3, 2]
    assert list(train.dataset.targets) != sorted(train.dataset.targets), "in random order"


def test_images_without_labels_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    pictures(Path("data"), {"a": 6, "b": 6})
    assert shards.main(["--data", "data", "--labels", "none", "--out", "out"]) == 0
    assert find_index(Path("out")).labeled == [0] and not Path("out/classes.txt").exists()
    assert "12 images in 1 shard" in capsys.readouterr().out


def test_shards_that_are_there_are_indexed(capsys: pytest.CaptureFixture[str]) -> None:
    pack(Path("laion"), range(12))
    assert shards.main(["--index", "laion", "--image", "png"]) == 0
    assert capsys.readouterr().out == "12 images in 3 shards: avalanche-ssl run --benchmark shards --data laion\n"
    assert len(find_index(Path("laion")).names) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "data"], "--data goes with --out FOLDER"),
        (["--index", "data", "--out", "x"], "--out goes with --data"),
        (["--data", "data", "--out", "x", "--image", "png"], "--image goes with --index"),
        (["--data", "nothing", "--out", "x"], "no folder 'nothing'"),
        (["--data", "data", "--out", "full"], "'full' holds shards already"),
        (["--index", "data"], "no shard (.tar) in 'data'"),
        ([], "one of the arguments --data --index is required; see --help"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(Path("data"), {"a": 2, "b": 2})
    pack(Path("full/train"), range(2))
    assert shards.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"avalanche-ssl shards: {said}") and error.count("\n") == 1
