"""Joint and cumulative training streams hold the images they should, and probes give them the right rows."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.probing import moco
from helpers.streams import images

from avalanche_ssl import ProbePlugin
from avalanche_ssl.data import ArrayDataset, leaf_datasets
from avalanche_ssl.evaluation import average_accuracy, forgetting
from avalanche_ssl.streams import (
    benchmark_from_parts,
    cumulative_stream,
    experience_sizes,
    joint_experience,
    joint_stream,
    online_stream,
    training_stream,
)

PARTS = np.split(np.random.default_rng(0).permutation(30), [8, 20])


@pytest.fixture(scope="module")
def three() -> Any:
    """Three experiences of 8, 12 and 10 images."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    train = ArrayDataset(pixels, [i % 3 for i in range(30)])
    return benchmark_from_parts(train, PARTS, train, PARTS, ["a", "b", "c"])


@pytest.mark.parametrize("regime", ["sequential", "joint", "cumulative"])
def test_sizes_are_those_of_the_stream(three: Any, regime: str) -> None:
    sizes = [len(experience.dataset) for experience in training_stream(three, regime)]
    assert experience_sizes(three, regime) == sizes


def check_images(experience: Any, order: Any, benchmark: Any) -> None:
    (source, *_), _, _ = leaf_datasets(benchmark.train_stream[0].dataset)
    assert list(experience.dataset.targets) == [i % 3 for i in order]
    assert torch.equal(images(experience.dataset), torch.from_numpy(source.data[order]).permute(0, 3, 1, 2))
    assert leaf_datasets(experience.dataset)[0] == [source], "no image is copied"


def test_the_joint_stream_is_one_experience_of_all_images(three: Any) -> None:
    stream = joint_stream(three)
    assert len(stream) == 1
    for experience in (*stream, joint_experience(three)):
        check_images(experience, np.concatenate(PARTS), three)
        assert experience.current_experience == 0
        assert experience.n_samples_from_each_exp == [8, 12, 10]


def test_the_cumulative_stream_adds_the_images_of_each_experience(three: Any) -> None:
    stream = cumulative_stream(three)
    assert len(stream) == 3
    for k, experience in enumerate(stream):
        check_images(experience, np.concatenate(PARTS[: k + 1]), three)
        assert experience.current_experience == k
        assert experience.n_samples_from_each_exp == [8, 12, 10][: k + 1]
    assert [len(experience.dataset) for experience in stream[1:]] == [20, 30]
    assert [len(experience.dataset) for experience in stream] == [8, 20, 30], "it can be gone through again"


def test_training_streams_by_name(three: Any) -> None:
    sizes = {name: [len(e.dataset) for e in training_stream(three, name)] for name in ("joint", "cumulative")}
    assert sizes == {"joint": [30], "cumulative": [8, 20, 30]}
    assert training_stream(three, "sequential") is three.train_stream


def trained(benchmark: Any, stream: Any) -> tuple[Any, Any]:
    probe = ProbePlugin(benchmark)
    strategy = moco(probe, batch_size=8, epochs=2)
    strategy.train(stream)
    return probe, strategy


def rows(matrix: Any) -> list[bool]:
    return (~np.isnan(matrix)).any(1).tolist()


@pytest.mark.parametrize("online", [False, True])
def test_joint_training_gives_the_last_row(three: Any, online: bool) -> None:
    stream = joint_stream(three)
    probe, strategy = trained(three, online_stream(stream, 8) if online else stream)
    matrix = probe.matrix("all")
    assert rows(matrix) == [False, False, True] and probe.trained == 3
    found = probe.evaluator.evaluate(strategy, seen=range(3)).accuracies["ridge"]
    for scope in ("all", "seen", "task"):
        np.testing.assert_array_equal(probe.matrix(scope)[-1], found[scope])
    np.testing.assert_array_equal(matrix[-1], probe.matrix("seen")[-1])
    assert average_accuracy(matrix) == np.mean(found["all"]) and np.isnan(forgetting(matrix))
    assert not np.isnan(probe.untrained("all")).any() and not np.isnan(probe.consolidation)


def test_cumulative_training_gives_every_row(three: Any) -> None:
    probe, _ = trained(three, cumulative_stream(three))
    assert rows(probe.matrix("all")) == [True] * 3
    assert (~np.isnan(probe.matrix("seen"))).tolist() == np.tril(np.ones((3, 3), bool)).tolist()
    assert not np.isnan(forgetting(probe.matrix("all")))


def test_probes_are_fitted_on_each_image_once(three: Any) -> None:
    """The benchmark's experiences, not those of the cumulative stream."""
    probe, _ = trained(three, cumulative_stream(three)[:1])
    assert [len(d) for d in probe.train] == [8, 12, 10]
