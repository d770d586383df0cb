"""The event and the counts of training on an experience; the progress bar."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.probing import moco

from avalanche_ssl.evaluation import ProbeSchedule
from avalanche_ssl.plugins import Progress, planned_probes, progress
from avalanche_ssl.plugins.progress import duration
from avalanche_ssl.training import AvalancheReplay


def test_an_experience_is_counted(few: Any) -> None:
    progress = Progress([40, 40], [1, 1])
    assert progress.last is None and progress.experiences == 2
    strategy = moco(progress, AvalancheReplay(10, batch_size_mem=5), epochs=2)
    for trained, (experience, steps, images) in enumerate(zip(few.train_stream, (4, 4), (40, 40 + 20 + 40)), 1):
        with progress.watch(trained - 1):
            strategy.train(experience, eval_streams=[])
        event = progress.last
        assert event is not None
        assert (event.experiences_trained, event.images_trained, event.steps) == (trained, images, steps)
        assert event.seconds > 0 and event.images_per_second > 0 and 0 < event.loss < 10
    assert (progress.trained, progress.steps, progress.images) == (2, 8, 100)
    assert progress.rate == pytest.approx(progress.images / progress.seconds)
    assert progress.example is not None and progress.example.shape == (2, 3, 16, 16)
    assert progress.example.dtype == torch.uint8


def test_counts_are_restored(few: Any) -> None:
    progress, copy = Progress([20, 20], [1, 1]), Progress([20, 20], [1, 1])
    strategy = moco(progress)
    with progress.watch(0):
        strategy.train(few.train_stream[0], eval_streams=[])
    copy.load_state_dict(progress.state_dict())
    assert (copy.trained, copy.images, copy.steps, copy.seconds) == (1, 20, 2, progress.seconds)
    assert copy.seconds_left == pytest.approx(progress.seconds_left), "a resumed run knows its speed"


class Clock:
    """Time that passes only when a test says so."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def steps(plugin: Progress, clock: Clock, number: int, *, seconds: float, images: int = 10, new: int = 10) -> None:
    """So many steps, and what each takes."""
    for _ in range(number):
        clock.now += seconds
        loader = SimpleNamespace(batch_sizes=[new, images - new])
        batch = torch.zeros(images, 1)
        strategy = SimpleNamespace(
            loss=torch.ones(()), mb_x=batch, n_images=images, whole=lambda x: x, dataloader=loader, train_mb_size=new
        )
        plugin.after_training_iteration(strategy)


def test_the_time_left_is_that_of_all_images_and_probes(clock: Clock) -> None:
    """A second per ten images, seven per probe, in three experiences of 100, 100 and 300 images."""
    plugin = Progress([100, 100, 300], [1, 0, 2])
    strategy: Any = SimpleNamespace(train_mb_size=10)
    assert plugin.seconds_left is None and plugin.time_left == ""
    plugin.probe_seconds, plugin.probed = 5.0, 1  # of the untrained encoder
    with plugin.watch(0):
        plugin.before_training_exp(strategy)
        steps(plugin, clock, 5, seconds=1, images=20)
        assert plugin.seconds_left == pytest.approx(45 + 3 * 5), (
            "in the middle of an epoch; replayed images do not count"
        )
        steps(plugin, clock, 5, seconds=1)
        plugin.after_training_epoch(strategy)
        plugin.after_training_exp(strategy)
        clock.now += 9
    assert plugin.seconds_left == pytest.approx(40 + 2 * (5 + 9) / 2)
    assert plugin.time_left == "54 s"
    clock.now += 1000  # e.g. waiting for a resume
    assert plugin.seconds_left == pytest.approx(54)
    with plugin.watch(1):
        clock.now += 3  # images are made ready
        plugin.before_training_exp(strategy)
        steps(plugin, clock, 10, seconds=2)
        plugin.after_training_epoch(strategy)
        plugin.after_training_exp(strategy)
        assert plugin.seconds_left == pytest.approx(30 / 200 * 300 + 2 * 7), "it follows the speed"
    with plugin.watch(2):
        plugin.before_training_exp(strategy)
        steps(plugin, clock, 30, seconds=1)
        plugin.after_training_epoch(strategy)
        plugin.after_training_exp(strategy)
        clock.now += 4
    assert plugin.seconds_left == 0
    assert (plugin.probe_seconds, plugin.probed) == (5 + 9 + 4, 4)


def test_mini_batches_with_probes_between_them(clock: Clock) -> None:
    plugin = Progress([40], [3])
    strategy: Any = SimpleNamespace(train_mb_size=10)
    with plugin.watch(0):
        for number in range(4):
            plugin.before_training_exp(strategy)
            steps(plugin, clock, 1, seconds=1)
            plugin.after_training_epoch(strategy)
            plugin.after_training_exp(strategy)
            clock.now += 2 * (number != 1)
    assert (plugin.probe_seconds, plugin.probed, plugin.seconds) == (6, 3, 4)


def test_the_example_is_of_all_processes() -> None:
    """A share may be a single image, which batch norm refuses."""
    plugin = Progress([4], [1])
    batch, images = torch.zeros(1, 3, 2, 2), torch.rand(4, 3, 2, 2)
    with plugin.watch(0):
        plugin.after_training_iteration(
            SimpleNamespace(loss=torch.ones(()), mb_x=batch, n_images=4, whole=lambda x: images, dataloader=None)
        )
    assert plugin.example is not None and torch.equal(plugin.example, images[:2])


def test_how_often_experiences_are_probed() -> None:
    assert planned_probes([10, 10, 10], 1, None) == [1, 1, 1]
    assert planned_probes([10, 10, 10], 2, None) == [0, 1, 1], "after the last, too"
    assert planned_probes([10, 10, 10], 2, ProbeSchedule(every=5)) == [2, 2, 2]
    assert planned_probes([10, 10, 10], 1, ProbeSchedule(at=(1, 2, 10, 11))) == [3, 2, 1], "once at a boundary"


def test_a_time_in_words() -> None:
    assert [duration(s) for s in (0.2, 99, 100, 3600, 5969, 5970, 86_400)] == [
        "0 s",
        "99 s",
        "2 min",
        "60 min",
        "99 min",
        "1.7 h",
        "24.0 h",
    ]
