"""Runs on images of any number of channels and of other sizes than views: what is decided, noted and said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.encoders import tiny
from helpers.streams import array_stream

from avalanche_ssl.checkpointing import read_encoder
from avalanche_ssl.cli.export import export
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import FineTuning
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import RunConfig, read_run, run
from avalanche_ssl.runs.build import differences, run_of_folder
from avalanche_ssl.runs.fine_tuning import fine_tune_run, grid
from avalanche_ssl.streams import BENCHMARKS

pytestmark = pytest.mark.filterwarnings("ignore:SimCLR has COLLAPSED")  # images of noise look alike
SETTINGS = {"encoder": "tiny", "output_dim": 8, "batch_size": 16, "epochs": 1}


def bands(channels: int = 13, *, size: int = 32) -> Any:
    return array_stream(channels, size=size)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, a small encoder and a stream of any number of channels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "bands", bands)


def config(strategy: str = "simclr", channels: int = 13, size: int = 32, **settings: Any) -> RunConfig:
    return RunConfig(
        strategy=strategy,
        benchmark="bands",
        benchmark_options={"channels": channels, "size": size},
        device="cpu",
        precision="fp32",
        settings=(SETTINGS if strategy == "simclr" else {"encoder": "tiny"}) | settings,
    )


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 4, 13])
def test_the_encoder_gets_the_channels_of_the_stream_in_all_that_follows(channels: int, capsys: Any) -> None:
    """Trained, probed, resumed, exported and fine-tuned: every time the same network is built from the folder."""
    folder = run(config(channels=channels))
    assert f"the encoder takes images of C = {channels}, as the stream has" in capsys.readouterr().out
    assert read_encoder(folder / "encoder.pt")["stages.0.0.weight"].shape[1] == channels
    assert read_run(folder).settings["in_channels"] == channels
    assert run_of_folder(folder)[1].build_method().encoder.in_channels == channels
    assert np.load(folder / "embeddings/images.npz")["images"].shape[1:] == (32, 32, 1)
    assert differences(folder, config(channels=channels)) == []
    assert "is finished" in (run(config(channels=channels), resume=True), capsys.readouterr().out)[1]
    _, card = export(folder)
    assert f"images (B, {channels}, H, W)" in card.read_text(encoding="utf-8")
    found = fine_tune_run(folder, grid(["frozen", "scratch"], epochs=[1]), FineTuning())
    assert [cell.protocol for cell in found] == ["frozen", "scratch"]


@pytest.mark.slow
def test_a_run_of_rgb_says_nothing_of_channels(capsys: Any) -> None:
    folder = run(config(channels=3))
    out = capsys.readouterr().out
    assert "images of" not in out and "the images are" not in out
    assert read_run(folder).settings["in_channels"] == 3


def test_a_setting_that_does_not_fit_the_stream_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(UsageError, match=r"the images have 13 channels, the encoder takes 4: .*--set in_channels=13"):
        run(config(in_channels=4))
    assert not Path("runs/simclr-bands-s0/log.jsonl").exists()


@pytest.mark.parametrize("channels", [1, 13])
def test_a_method_that_needs_color_is_refused_before_anything_is_trained(channels: int) -> None:
    with pytest.raises(UsageError, match=f"CMC splits colors and needs RGB, and the images have {channels} channel"):
        run(config("cmc", channels=channels))
    assert not Path("runs/cmc-bands-s0/log.jsonl").exists()


@pytest.mark.slow
def test_images_larger_than_views_are_said(capsys: Any) -> None:
    run(config(channels=3, size=40))
    said = "the images are 40x40: views for training 32x32 (--set augment.size=...), probes see 40x40"
    assert said in capsys.readouterr().out
