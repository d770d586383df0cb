"""The command writes table and picture, and says mistakes in one line before it computes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.untrained_run import pictures, untrained_run

from avalanche_ssl.cli import embed
from avalanche_ssl.runs import feature_parts, folder_features
from avalanche_ssl.runs.feature_source import FeatureSource


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a run and pictures."""
    monkeypatch.chdir(tmp_path)
    untrained_run(Path("run"))
    pictures(Path("data"), {"a": 6, "b": 6})


def test_table_and_picture(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--data", "data", "--out", "t.npz", "--neighbors", "2", "--project", "pca", "--device", "cpu"]
    assert embed.main(words) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("t.npz: 12 images, 32 features each, in ") and second == "t.pca.png: all images"
    assert sorted(path.name for path in Path().iterdir()) == ["data", "run", "t.npz", "t.pca.png"], "no parts are left"
    with np.load("t.npz") as table:
        x = table["features"] / np.linalg.norm(table["features"], axis=1, keepdims=True)
        cosines = x @ x.T - 2 * np.eye(12)
        np.testing.assert_allclose(np.take_along_axis(cosines, table["neighbors"], 1)[:, 0], cosines.max(1), atol=1e-6)
        assert table["files"][0] == "a/000.png" and table["similarities"].shape == (12, 2)


@pytest.mark.slow
def test_processes_change_no_bit_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_parts, "PART", 4)
    for processes in ("1", "3"):
        words = ["run", "--data", "data", "--out", f"{processes}.csv", "--processes", processes, "--device", "cpu"]
        assert embed.main(words) == 0
    assert Path("1.csv").read_bytes() == Path("3.csv").read_bytes()


@pytest.mark.slow
def test_the_command_from_a_shell() -> None:
    words = [sys.executable, "-m", "avalanche_ssl", "embed", "run", "--data", "data", "--out", "t.csv"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert len(Path("t.csv").read_text().splitlines()) == 13


def test_weights_that_are_of_no_run() -> None:
    Path("e.pt").write_bytes(Path("run/encoder.pt").read_bytes())
    words = ["e.pt", "--encoder", "smallconv", "--set", "encoder.width=4", "--set", "augment.size=16"]
    assert embed.main([*words, "--data", "data", "--out", "e.npz"]) == 0
    assert embed.main(["run", "--data", "data", "--out", "r.npz"]) == 0
    with np.load("e.npz") as one, np.load("r.npz") as other:
        assert np.array_equal(one["features"], other["features"])


@pytest.mark.parametrize(
    "words, line",
    [
        (["run", "--out", "t.txt"], "cannot write a table to 't.txt'"),
        (["run", "--out", "t.csv", "--neighbors", "0"], "--neighbors is 0"),
        (["run", "--out", "t.csv", "--neighbors", "12"], "--neighbors is 12, and there are 12 images"),
        (["run", "--out", "t.csv", "--project", "umap"], "pip install umap-learn"),
        (["run", "--out", "t.csv", "--damaged", "drop"], "no way with a damaged image 'drop'"),
        (["nothing", "--out", "t.csv"], "no run or file 'nothing'"),
        (["run", "--out", "nowhere/t.csv", "--device", "tpu"], "tpu"),
    ],
)
def test_mistakes_come_before_anything_is_computed(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setattr(folder_features, "write_part", None)
    assert embed.main([*words, "--data", "data"]) == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
    assert not Path("t.csv").exists()


def test_parts_stay_until_the_table_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, calls = FeatureSource(Path("run")), []

    def full(*given: object) -> None:
        calls.append(given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("avalanche_ssl.runs.feature_tables.write_table", full)
        with pytest.raises(KeyboardInterrupt):
            list(embed.embed(source, Path("data"), Path("t.csv")))
    assert calls and Path("t.csv.parts/000000.npz").exists()
    (line,) = embed.embed(source, Path("data"), Path("t.csv"))
    assert line.endswith(", 12 of them before") and not Path("t.csv.parts").exists()


def test_an_encoder_that_names_code_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("hub").mkdir()
    Path("evil.py").write_text("open('ran', 'w')\n")
    about = {"architecture": "evil.py:build", "in_channels": 3, "image_mean": 0.5, "image_std": 0.25}
    about |= {"view_size": 16, "feature_layer": None, "num_features": 16}
    Path("hub/config.json").write_text(json.dumps(about))
    assert embed.main(["hub", "--data", "data", "--out", "t.csv"]) == 2
    assert "names code, evil.py:build" in capsys.readouterr().err and not Path("ran").exists()
