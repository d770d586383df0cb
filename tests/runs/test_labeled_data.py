"""Labeled data of the stream of a run, or of another one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.encoders import tiny
from helpers.streams import array_stream

from avalanche_ssl.data import ArrayDataset, class_labels
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, SimCLR
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.labeled_data import StreamChoice, labeled_data
from avalanche_ssl.streams import benchmark_from_parts

CONFIG = RunConfig(strategy="simclr", benchmark="split-digits", benchmark_options={"composites": 2, "seed": 7})


def unnamed(labels: Any = (7, 12, 10**9), tested: Any = None) -> Any:
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    train = ArrayDataset(images, [labels[i % 3] for i in range(24)])
    test = train if tested is None else ArrayDataset(images, [tested[i % 3] for i in range(24)])
    return benchmark_from_parts(train, [np.arange(24)], test, [np.arange(24)], None)


def test_the_stream_of_the_run_stays_as_it_is_noted() -> None:
    assert StreamChoice().config(CONFIG) is CONFIG
    assert StreamChoice().is_own and StreamChoice(options={"seed": 1}).is_own
    changed = StreamChoice(options={"seed": 1}).config(CONFIG)
    assert (changed.benchmark, changed.benchmark_options["composites"], changed.stream_seed) == ("split-digits", 2, 1)
    assert StreamChoice(options={"leak": 0.2}).config(CONFIG).stream_seed == 7


def test_another_stream_has_its_own_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = StreamChoice(data="images", options={"size": 16}).config(CONFIG)
    assert (config.benchmark, config.data, config.benchmark_options["size"]) == ("folder", str(tmp_path / "images"), 16)
    assert "composites" not in config.benchmark_options
    assert (config.strategy, config.seed) == (CONFIG.strategy, CONFIG.seed)
    config = StreamChoice("rotated-digits").config(CONFIG)
    assert (config.benchmark, config.benchmark_options["composites"]) == ("rotated-digits", 6)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (StreamChoice("rotated-digts"), "did you mean 'rotated-digits'"),
        (StreamChoice("folder"), "benchmark 'folder' needs --data PATH"),
        (StreamChoice("rotated-digits", data="x"), "needs no --data: leave it out"),
        (StreamChoice(options={"composits": 3}), "no option of split-digits 'composits'"),
    ],
)
def test_a_wrong_choice_is_refused(choice: StreamChoice, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choice.config(CONFIG)


def test_classes_without_names_are_numbered() -> None:
    data = labeled_data(unnamed(), SimCLR(tiny), CONFIG)
    assert data.n_classes == 3
    assert [class_labels(d).tolist() for d in (*data.train, *data.test)] == [[0, 1, 2] * 8] * 2


def test_test_images_without_a_label_are_left_out() -> None:
    data = labeled_data(unnamed((0, 1, -1), (1, -1, 0)), SimCLR(tiny), CONFIG)
    assert class_labels(data.test[0]).tolist() == [1, 0] * 8
    assert class_labels(data.train[0]).tolist() == [0, 1, -1] * 8, "the share of labels is drawn from them later"


def test_test_images_that_experiences_share_count_once() -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
    source = ArrayDataset(images, [i % 3 for i in range(12)])
    parts = [np.arange(8), np.arange(4, 12)]
    benchmark = benchmark_from_parts(source, [np.arange(6), np.arange(6, 12)], source, parts, ["a", "b", "c"])
    data = labeled_data(benchmark, SimCLR(tiny), CONFIG)
    assert sum(map(len, data.test)) == 12 and sum(map(len, data.train)) == 12


def test_a_stream_without_labels_is_refused() -> None:
    named = unnamed([-1] * 3)
    named.class_names = ["a", "b"]
    for benchmark in (unnamed([-1] * 3), unnamed(tested=[-1] * 3), named):
        with pytest.raises(UsageError, match="split-digits has no labels to fine-tune on: give --benchmark or --data"):
            labeled_data(benchmark, SimCLR(tiny), CONFIG)


def test_images_of_other_channels_are_refused_and_gray_ones_are_not() -> None:
    message = "the images of split-digits have 4 channels, and the encoder of the run takes 3: give --data with images"
    for method in (SimCLR(tiny), CMC(tiny, negatives="batch")):
        with pytest.raises(UsageError, match=message):
            labeled_data(array_stream(4), method, CONFIG)
        assert labeled_data(array_stream(1), method, CONFIG).n_classes


def test_another_stream_is_the_same_for_every_run() -> None:
    """Whatever the seed of the run, and whatever the run was scored on; its own stream keeps both."""
    run = RunConfig(strategy="simclr", seed=3, eval_on="val")
    other = StreamChoice("rotated-digits").config(run)
    assert (other.seed_of_stream, other.eval_on) == (0, "test")
    assert StreamChoice("rotated-digits", options={"seed": 5}).config(run).seed_of_stream == 5
    own = StreamChoice(options={"composites": 2}).config(run)
    assert (own.seed_of_stream, own.eval_on) == (3, "val")
