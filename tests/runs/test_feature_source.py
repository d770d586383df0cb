"""The encoder of a run or of weights from elsewhere, with its settings; a Python file runs only where it is trusted."""

import json
from pathlib import Path

import pytest
import torch
from helpers.untrained_run import untrained_run

from avalanche_ssl.checkpointing import read_encoder, write_encoder
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.build import run_of_folder
from avalanche_ssl.runs.exporting import method_with, write_folder, write_weights
from avalanche_ssl.runs.feature_source import FeatureSource

IMAGES = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ELSEWHERE = {"augment.size": 16, "encoder.width": 4}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return untrained_run(tmp_path / "run", **{"augment.mean": 0.4})


def method_of(run: Path):
    return method_with(run_of_folder(run)[1], read_encoder(run / "encoder.pt"))


def test_a_run_gives_the_features_of_its_method(run: Path) -> None:
    embedder = FeatureSource(run).load()
    expected = method_of(run).extract_features(IMAGES).detach()
    assert embedder.size == 16 and torch.equal(embedder.features(IMAGES), expected)
    assert torch.equal(FeatureSource(run / "encoder.pt").load().features(IMAGES), expected)


@pytest.mark.parametrize("strategy", ["cmc", "cpc"])
def test_methods_with_features_of_their_own(strategy: str, tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run", strategy, **({"augment.size": 32} if strategy == "cpc" else {}))
    embedder = FeatureSource(run).load()
    images = torch.nn.functional.interpolate(IMAGES, embedder.size)
    assert torch.equal(embedder.features(images), method_of(run).extract_features(images).detach())


def test_the_feature_layer_is_that_of_the_run(tmp_path: Path) -> None:
    plain, pooled = (untrained_run(tmp_path / str(v), feature_layer=v) for v in (None, "pool2x2"))
    widths = [FeatureSource(run).load().features(IMAGES).shape[1] for run in (plain, pooled)]
    assert widths[1] == 4 * widths[0]


def test_the_key_is_of_all_that_features_depend_on(run: Path, tmp_path: Path) -> None:
    others = [untrained_run(tmp_path / "other", seed=1), untrained_run(tmp_path / "mean", **{"augment.mean": 0.3})]
    others += [untrained_run(tmp_path / "layer", **{"augment.mean": 0.4, "feature_layer": "pool2x2"})]
    keys = [FeatureSource(each).load().key for each in (run, *others)]
    assert len(set(keys)) == 4 and FeatureSource(run).load().key == keys[0]


def test_gray_encoders_get_gray_images(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "gray", in_channels=1)
    embedder = FeatureSource(run).load()
    image = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    gray = torch.full((1, 1, 16, 16), round(0.299 * 200 + 0.587 * 100 + 0.114 * 50), dtype=torch.uint8)
    assert embedder.channels == 1
    assert torch.equal(embedder.features(image), method_of(run).extract_features(gray).detach())


def test_weights_from_elsewhere(run: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    write_encoder(file := tmp_path / "elsewhere" / "e.pt", read_encoder(run / "encoder.pt"))
    with pytest.raises(UsageError, match=r"e.pt is of no run: say whose weights they are, e.g. --encoder resnet18"):
        FeatureSource(file).load()
    embedder = FeatureSource(file, "smallconv", ELSEWHERE | {"augment.mean": 0.4}).load()
    assert torch.equal(embedder.features(IMAGES), FeatureSource(run).load().features(IMAGES))
    with pytest.raises(UsageError, match=r"do not fit the encoder: 0 of \d+ tensors, and 100% are needed"):
        FeatureSource(file, "smallconv", {"encoder.width": 8}).load()
    with pytest.raises(UsageError, match="is of no run: leave out --strategy"):
        FeatureSource(file, "smallconv", strategy="simclr").load()
    with pytest.raises(UsageError, match="is a run, which knows its encoder and settings"):
        FeatureSource(run, "smallconv").load()
    with pytest.raises(UsageError, match="no run or file"):
        FeatureSource(tmp_path / "nothing").load()


def test_an_export_for_hugging_face_says_whose_weights_they_are(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    method, (config, recipe) = method_of(run), run_of_folder(run)
    (hub := tmp_path / "hub").mkdir()
    write_weights("huggingface", hub, method)
    write_folder(hub, method, recipe, config.as_dict(), "")
    embedder = FeatureSource(hub).load()
    assert embedder.size == 16
    assert torch.equal(embedder.features(IMAGES), FeatureSource(run).load().features(IMAGES))
    about = json.loads((hub / "config.json").read_text())
    for changes, line in (
        ({"architecture": "evil.py:build"}, "names code, evil.py:build: if you trust it, give it as --encoder"),
        ({"num_features": None}, "has an encoder of several networks: give the folder of the run"),
    ):
        (hub / "config.json").write_text(json.dumps(about | changes))
        with pytest.raises(UsageError, match=line):
            FeatureSource(hub).load()
    del about["view_size"]
    (hub / "config.json").write_text(json.dumps(about))
    with pytest.raises(UsageError, match=r"config.json is not of an export of this version: give --encoder"):
        FeatureSource(hub).load()


def test_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes images of 4 channels"):
        FeatureSource(untrained_run(tmp_path / "run", in_channels=4)).load()


def test_a_python_file_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run")
    text = (run / "config.yaml").read_text().replace("strategy: simclr", "strategy: /nowhere/mine.py")
    (run / "config.yaml").write_text(text)
    with pytest.raises(UsageError, match="--trust-strategy"):
        FeatureSource(run).load()
