"""Batches that are too small, and images that are all the same, are refused."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.training.plugins import ReplayPlugin
from helpers.encoders import tiny
from helpers.strategies import Spy, make
from torch.utils.data import DataLoader

from avalanche_ssl import ProbePlugin
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CPC, SimCLR
from avalanche_ssl.plugins import Replay
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.online import mini_batch_stream
from avalanche_ssl.training.preconditions import check_steps


def stream(images: np.ndarray) -> Any:
    """One experience with these images."""
    data, test = (ArrayDataset(images, [0] * len(images)) for _ in range(2))
    return benchmark_from_parts(data, [np.arange(len(data))], test, [np.arange(len(test))], ["thing"])


def test_batches_of_one_image_need_a_memory() -> None:
    method = SimCLR(tiny)
    message = "batch_size is 1: SimCLR compares the images of a batch, give it 2 or more"
    with pytest.raises(UsageError, match=message):
        check_steps(method, 1, 1, [])
    with pytest.raises(UsageError, match=message):
        make(method, train_mb_size=1)
    check_steps(method, 2, 1, [])
    check_steps(method, 1, 1, [ReplayPlugin(8)])
    check_steps(method, 1, 1, [SimpleNamespace(fills_batches=True)])
    check_steps(CPC(tiny), 1, 1, [])


def test_a_memory_that_is_empty_yet_fills_no_batch() -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8)
    strategy = make(SimCLR(tiny), train_mb_size=1, plugins=[ReplayPlugin(8)])
    with pytest.raises(UsageError, match="batch_size is 1: SimCLR compares the images of a batch, give it 2 or more"):
        strategy.train(stream(images).train_stream)
    assert strategy.clock.train_iterations == 0


@pytest.mark.parametrize("settings", [{"train_mb_size": 0}, {"train_epochs": 0}])
def test_settings_without_steps_are_refused(settings: dict[str, int]) -> None:
    (name,) = settings
    with pytest.raises(UsageError, match=f"setting '{name}' is 0: give a number above 0"):
        make(**settings)


def test_identical_images_are_refused_at_the_first_step() -> None:
    images = np.full((40, 16, 16, 3), 200, np.uint8)
    strategy = make(train_mb_size=16)
    with pytest.raises(UsageError) as error:
        strategy.train(stream(images).train_stream, eval_streams=[])
    assert str(error.value) == (
        "all 40 images of experience 1 are identical, so that nothing can be learned from them: look at the data "
        "(pixels from 200 to 200)"
    )
    assert strategy.clock.train_iterations == 0


def test_one_other_image_is_enough_and_nothing_else_changes() -> None:
    images = np.full((40, 16, 16, 3), 200, np.uint8)
    images[39] = 0  # not in the first batch of an ordered stream
    strategy = make(train_mb_size=16)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    strategy.train(stream(images).train_stream, eval_streams=[], shuffle=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert strategy.clock.train_iterations == 2


def test_identical_images_in_mini_batches_are_refused_at_the_first_step() -> None:
    images = np.full((40, 16, 16, 3), 200, np.uint8)
    for access in (False, True):
        strategy = make(train_mb_size=16)
        parts = mini_batch_stream(stream(images).train_stream, 4, 0, access_task_boundaries=access)
        with pytest.raises(UsageError, match="all 40 images of experience 1 are identical"):
            strategy.train(parts, eval_streams=[])
        assert strategy.clock.train_iterations == 0


def test_a_mini_batch_of_a_stream_may_hold_one_image_only() -> None:
    images = np.full((40, 16, 16, 3), 200, np.uint8)
    images[35:] = 0
    strategy = make(train_mb_size=16)
    parts = mini_batch_stream(stream(images).train_stream, 10, 0, access_task_boundaries=False, shuffle=False)
    strategy.train(parts, eval_streams=[])
    assert strategy.clock.train_iterations == 4


def test_small_batches_of_identical_images_are_refused_too() -> None:
    with pytest.raises(UsageError, match="all 40 images of experience 1 are identical"):
        make(train_mb_size=4).train(stream(np.full((40, 16, 16, 3), 200, np.uint8)).train_stream)
    make(train_mb_size=4).train(stream(np.full((6, 16, 16, 3), 200, np.uint8)).train_stream)


def test_remembered_images_do_not_hide_identical_ones() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    images[20:] = images[20]
    data = ArrayDataset(images, [0] * 40)
    halves = [np.arange(20), np.arange(20, 40)]
    benchmark = benchmark_from_parts(data, halves, data, halves, ["thing"])
    strategy = make(SimCLR(tiny, output_dim=8), train_mb_size=10, plugins=[Replay(20, batch=4)])
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    with pytest.raises(UsageError, match="all 20 images of experience 2 are identical"):
        strategy.train(benchmark.train_stream[1], eval_streams=[])


def test_data_and_benchmarks_in_the_place_of_experiences_are_refused() -> None:
    benchmark = stream(np.zeros((40, 16, 16, 3), np.uint8))
    dataset = benchmark.train_stream[0].dataset
    for given in (benchmark, dataset, DataLoader(dataset), ArrayDataset(np.zeros((4, 8, 8, 3), np.uint8), [0] * 4)):
        with pytest.raises(UsageError) as error:
            make().train(given)
        assert str(error.value) == (
            f"train() takes an experience or a stream, not a {type(given).__name__}: give benchmark.train_stream; "
            "benchmark_from_datasets(train=[...], test=[...]) makes a benchmark of datasets"
        )
        with pytest.raises(UsageError, match=rf"eval\(\) takes .* not a {type(given).__name__}: give .*test_stream"):
            make(plugins=[ProbePlugin(benchmark)]).eval(given)


OPTIONS = [
    ({"drop_last": False}, "drop_last=False has no effect .*: the last partial batch of an epoch is always dropped"),
    (
        {"batch_size": 4},
        "batch_size=4 has no effect .*: give SelfSupervised(.*, train_mb_size=.*, eval_mb_size=.*)",
    ),
    ({"collate_fn": len}, "collate_fn=.* has no effect .*: leave it out: batches are made of raw images"),
    ({"sampler": None}, "sampler=None has no effect .*: leave it out, and take shuffle=False"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_options_of_a_loader_without_effect_are_refused(digits: Any, options: dict[str, Any], message: str) -> None:
    strategy = make(train_mb_size=32)
    with pytest.raises(UsageError, match=message):
        strategy.train(digits.train_stream[0], **options)
    assert strategy.clock.train_iterations == 0


def test_other_options_of_a_loader_are_taken(digits: Any) -> None:
    spy = Spy(before_forward=lambda strategy: first.append(strategy.mb_x[0].clone()))
    first: list[torch.Tensor] = []
    strategy = make(train_mb_size=32, plugins=[spy, ProbePlugin(digits)], eval_every=0)
    options = {"drop_last": True, "shuffle": False, "pin_memory": True, "persistent_workers": True, "mine": 3}
    strategy.train(digits.train_stream[0], eval_streams=[digits.test_stream], **options)
    assert torch.equal(first[0], digits.train_stream[0].dataset[0][0])
    strategy.eval(digits.test_stream, drop_last=False, num_workers=0)
    with pytest.raises(UsageError, match="batch_size=4 has no effect"):
        strategy.eval(digits.test_stream, batch_size=4)
