"""The event and the counts of training on an experience; the progress bar."""

from typing import Any

import pytest
import torch
from helpers.probing import moco

from avalanche_ssl.plugins import Progress, replay_plugin


def test_an_experience_is_counted(few: Any) -> None:
    progress = Progress(2)
    assert progress.last is None
    strategy = moco(progress, replay_plugin(10, 5), epochs=2)
    for trained, (experience, steps, images) in enumerate(zip(few.train_stream, (4, 4), (40, 40 + 20 + 40)), 1):
        with progress.watch(len(experience.dataset) * 2):
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
    progress, copy = Progress(2), Progress(2)
    strategy = moco(progress)
    with progress.watch(20):
        strategy.train(few.train_stream[0], eval_streams=[])
    copy.load_state_dict(progress.state_dict())
    assert (copy.trained, copy.images, copy.steps, copy.seconds) == (1, 20, 2, progress.seconds)
