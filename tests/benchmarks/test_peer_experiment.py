"""The benchmark peer_experiment.py: both commands, their accuracies and costs, what is said where a peer is missing."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import peer_experiment
import pytest
from PIL import Image

from avalanche_ssl.cli.run import parser as run_parser
from avalanche_ssl.errors import UsageError


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some digits of every class."""
    folder = tmp_path_factory.mktemp("pictures")
    peer_experiment.draw_pictures(folder, {"train": 160, "test": 60}, composites=2)
    return folder


def options(*words: str) -> Any:
    return peer_experiment.parser().parse_args(words)


def test_pictures_are_drawn_as_a_folder_of_classes(pictures: Path) -> None:
    for part, count in (("train", 160), ("test", 60)):
        files = sorted((pictures / part).rglob("*.png"))
        assert len(files) == count and {path.parent.name for path in files} == set("0123456789")
        with Image.open(files[0]) as image:
            assert image.size == (32, 32) and image.mode == "RGB"


def test_too_many_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot draw 100000 test images"):
        peer_experiment.draw_pictures(tmp_path, {"train": 1, "test": 100_000}, composites=2)


def test_our_command_has_the_settings_of_the_comparison(tmp_path: Path) -> None:
    words = peer_experiment.our_command(options("--data", "images", "--set", "lr=0.1"), tmp_path)
    assert words[1:4] == ["-m", "avalanche_ssl", "run"]
    given = run_parser().parse_args(words[4:])
    assert (given.strategy, given.benchmark, given.epochs, given.out) == ("simclr", "folder", 2, tmp_path)
    assert "augment.blur_prob=0.0" in words and words[-2:] == ["--set", "lr=0.1"]


def test_the_peer_has_a_worker_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightly", reason="an optional dependency")
    monkeypatch.setattr("speed.peers.available_cores", lambda: 3)
    words = peer_experiment.peer_command(options("--data", "images"))
    assert words[words.index("--num-workers") + 1] == "3"


def test_cost_counts_child_processes_and_reads_what_is_printed() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass\nprint('noise')\nprint('[]')"
    cost = peer_experiment.measured([sys.executable, "-c", code], peer_experiment.peer_rows)
    assert cost.processor >= 0.2 and cost.wall > 0 and cost.rows == []


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(UsageError, match="failed: ValueError: no luck; run it by itself"):
        peer_experiment.measured([sys.executable, "-c", "raise ValueError('no luck')"], peer_experiment.peer_rows)


def test_accuracies_of_a_run_are_means_over_experiences(tmp_path: Path) -> None:
    (tmp_path / "accuracy.csv").write_text(
        "experiences_trained,experience,probe,scope,accuracy,caveat\n"
        "0,1,ridge,all,0.1,\n0,2,ridge,all,0.3,\n1,1,ridge,all,0.5,\n1,1,ridge,seen,0.6,\n"
    )
    assert peer_experiment.our_rows(tmp_path) == [{"all": 0.2}, {"all": 0.5, "seen": 0.6}]
    assert peer_experiment.peer_rows('[{"all": 0.2, "seen": null}]') == [{"all": 0.2}]


def test_lines_and_ratios_by_hand() -> None:
    ours = [peer_experiment.Cost(10, 20, [{"all": 0.5, "task": 0.7}, {"all": 0.6, "seen": 0.8, "task": 0.9}])]
    peer = [peer_experiment.Cost(32, 50, [])]
    assert peer_experiment.line("ours 1", ours[0]) == (
        "ours 1: wall 10.0 s, processor 20.0 s; all 50.0 60.0; seen 80.0; task 70.0 90.0"
    )
    expected = "peer / ours, wall time: 3.20\npeer / ours, processor time: 2.50"
    assert peer_experiment.summary({"ours": ours, "peer": peer}) == expected
    assert peer_experiment.summary({"ours": ours}) == ""


def test_missing_lightly_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lightly" else find(name))
    assert peer_experiment.main([]) == 2
    assert capsys.readouterr().err == (
        "peer_experiment.py: the peer needs lightly, which is not installed: "
        'pip install -e ".[peer]", or measure --only ours\n'
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--repeat", "0"], "--repeat is 0: give 1 or more"),
        (["--num-workers", "-1"], "--num-workers is -1: give 0 or more"),
        (["--data", "nowhere"], "no folder 'nowhere/train': the peer reads train/CLASS/* and test/CLASS/*"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert peer_experiment.main([*words, "--only", "ours"]) == 2
    assert capsys.readouterr().err == f"peer_experiment.py: {message}\n"


@pytest.mark.slow
def test_ours_runs_and_prints_its_accuracies(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(pictures), "--experiences", "2", "--epochs", "1", "--width", "4", "--repeat", "1"]
    assert peer_experiment.main([*words, "--set", "batch_size=16", "--only", "ours"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("ours 1: wall ") and line.count(";") == 3
    assert len(line.partition("; all ")[2].partition(";")[0].split()) == 3
