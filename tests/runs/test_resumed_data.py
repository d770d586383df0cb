"""Whole runs that are resumed with other images, labels, code, or paths."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crashes import comparison
from helpers.encoders import tiny
from helpers.streams import write_images
from PIL import Image

from avalanche_ssl.cli import run
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import ENCODERS
from avalanche_ssl.runs.config_file import read_config

pytestmark = pytest.mark.slow

STRATEGY = """
from avalanche_ssl import Recipe
from avalanche_ssl.methods import SimCLR


class Mine(SimCLR):
    def loss(self, outputs):
        return 1.0 * super().loss(outputs)


recipe = Recipe(Mine, batch_size=8, epochs=2, encoder="tiny")
"""


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with images and a strategy of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    for split in ("train", "test"):
        write_images(Path("pets", split), ["cat", "dog", "eel", "fox"], n=8, size=(16, 16))
    Path("mine.py").write_text(STRATEGY)
    Path("sub").mkdir()
    return tmp_path


def options(out: str, *more: str, data: str = "pets") -> list[str]:
    given = ["--strategy", "mine.py", "--benchmark", "folder", "--data", data, "--experiences", "2"]
    given += [
        "--benchmark-option",
        "size=16",
        "--benchmark-option",
        "class_order=[0,1,2,3]",
        "--device",
        "cpu",
        "--precision",
        "fp32",
        "--keep-checkpoints",
    ]
    return [*given, "--out", out, *more]


def stop(out: str, step: int, *arguments: str) -> None:
    """Run until a signal comes in this step."""
    updates: list[int] = []

    def update(self: Any, outputs: Any) -> None:
        updates.append(1)
        if len(updates) == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as m:
        m.setattr(SimCLR, "update", update)
        assert run.main(list(arguments) or options(out)) == 143


def resume(out: str, *more: str) -> int:
    return run.main(["--resume", "--out", out, "--strategy", "mine.py", "--keep-checkpoints", *more])


def noise() -> None:
    """The images of the second experience become noise, under the same names."""
    random = np.random.default_rng(9)
    for path in sorted(Path("pets/train").glob("[ef]*/*.png")):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(path)


def rename() -> None:
    """The first class becomes the last one, so that all labels change."""
    for split in ("train", "test"):
        Path("pets", split, "cat").rename(Path("pets", split, "zebra"))


def edit() -> None:
    Path("mine.py").write_text(STRATEGY.replace("1.0", "2.0"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (noise, "the images of experience 2 differ from those of the checkpoint: give the data that the run was"),
        (rename, "class names differ from those of the checkpoint (were cat, dog, eel, fox, are dog, eel, fox, zebra)"),
        (edit, "the run was started with other settings: strategy_sha256 was "),
    ],
)
def test_a_change_is_refused_by_name(
    change: Callable[[], None], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stop("a", 3)
    before = {path: path.read_bytes() for path in Path("a").rglob("*") if path.is_file()}
    capsys.readouterr()
    change()
    assert resume("a") == 2
    said = capsys.readouterr().err.split("\r")[-1]
    assert said.startswith(f"avalanche-ssl run: {words}") and said.count("\n") == 1
    assert before == {path: path.read_bytes() for path in Path("a").rglob("*") if path.is_file()}


def test_a_data_folder_that_moved_changes_nothing(desk: Path) -> None:
    assert run.main(options("undisturbed", data="pets/../pets")) == 0
    stop("a", 3)
    shutil.move("pets", "elsewhere")
    stop("a", 3, "--resume", "--out", "a", "--strategy", "sub/../mine.py", "--data", "elsewhere")
    assert read_config(Path("a/config.yaml"))["data"] == str(desk / "elsewhere")
    assert resume("a") == 0, "where the data lie was noted"
    differing = comparison.differences(Path("undisturbed"), Path("a"))
    assert differing == ["log.jsonl"] or not differing
    paths = [comparison.log_of(Path(out))[0]["config"].pop("data") for out in ("undisturbed", "a")]
    assert paths == [str(desk / "pets")] * 2, "a path has one spelling; the log tells where the run began"
    assert not differing
