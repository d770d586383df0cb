"""Training on streams whose experiences differ by a transform: frozen ones are kept, others refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import split_online_stream
from avalanche.benchmarks.classic import PermutedMNIST, RotatedMNIST
from avalanche.benchmarks.scenarios.dataset_scenario import DatasetExperience
from avalanche.checkpointing import save_checkpoint
from helpers.domains import frozen_images, pictures, read, turned, write_mnist
from helpers.strategies import Spy, make

from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import FeatureExtractor
from avalanche_ssl.methods import MoCo
from avalanche_ssl.models import smallconv
from avalanche_ssl.training import AvalancheReplay, allow_save_checkpoint


def seen_by(strategy: Any, stream: Any) -> list[torch.Tensor]:
    """The images of the batches that training on each experience reads."""
    batches: list[list[Any]] = []
    strategy.plugins.append(
        Spy(
            before_training_exp=lambda strategy: batches.append([]),
            before_training_iteration=lambda strategy: batches[-1].append((strategy.mb_x.clone(),)),
        )
    )
    strategy.train(stream, eval_streams=[])
    return [read(of_experience) for of_experience in batches]


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", [PermutedMNIST, RotatedMNIST])
def test_training_reads_the_domains_of_mnist(benchmark: Any, tmp_path: Path) -> None:
    """The mean image of each experience is the benchmark's own, in training and evaluation, and they differ."""
    streams = benchmark(3, seed=1, dataset_root=write_mnist(tmp_path))
    stream = streams.train_stream
    model = MoCo(partial(smallconv, width=4, in_channels=1), output_dim=8, queue_size=64)
    strategy = make(model, train_mb_size=20)
    found = seen_by(strategy, stream)
    means = [frozen_images(e.dataset).mean(0) for e in stream]
    for images, mean in zip(found, means, strict=True):
        torch.testing.assert_close(images.mean(0), mean)
    assert all((a - b).abs().mean() > 0.05 for a, b in zip(means, means[1:] + means[:1], strict=True))
    tested = [e.dataset for e in streams.test_stream]
    features = FeatureExtractor([tested], 16, lambda model, x: x.flatten(1))(strategy, tested)
    for (x, _), dataset in zip(features, tested, strict=True):
        torch.testing.assert_close(x.mean(0), frozen_images(dataset.eval()).mean(0).flatten())


def test_training_and_replay_read_frozen_rotations() -> None:
    """A replayed image is turned as it was in its own experience."""
    stream = list(turned((0, 180)).train_stream)
    strategy = make(train_mb_size=20, plugins=[AvalancheReplay(mem_size=40, batch_size_mem=20)])
    batches: list[torch.Tensor] = []
    strategy.plugins.append(Spy(before_training_iteration=lambda strategy: batches.append(strategy.mb_x.float() / 255)))
    strategy.train(stream, eval_streams=[])
    assert [len(batch) for batch in batches] == [20, 20, 40, 40]
    plain, upside_down = (frozen_images(e.dataset) for e in stream)
    torch.testing.assert_close(torch.cat(batches[:2]).mean(0), plain.mean(0))
    torch.testing.assert_close(torch.cat([batch[:20] for batch in batches[2:]]).mean(0), upside_down.mean(0))
    torch.testing.assert_close(torch.cat([batch[20:] for batch in batches[2:]]).mean(0), plain.mean(0))
    assert (plain.mean(0) - upside_down.mean(0)).abs().mean() > 0.2


REFUSED = "experiences 1 and 2 have different transforms"


def test_ordinary_transforms_that_differ_are_refused_before_training() -> None:
    strategy = make()
    with pytest.raises(UsageError, match=REFUSED):
        strategy.train(turned(frozen=False).train_stream[0], eval_streams=[])
    online = split_online_stream(turned(frozen=False).train_stream, 20)
    with pytest.raises(UsageError, match=REFUSED):
        strategy.train(next(iter(online)), eval_streams=[])
    assert strategy.clock.train_iterations == 0


def test_experiences_in_no_stream_are_compared_with_those_before() -> None:
    first, second = (
        DatasetExperience(dataset=e.dataset, current_experience=0) for e in turned((0, 90), frozen=False).train_stream
    )
    strategy = make(train_mb_size=20)
    strategy.train([first, first], eval_streams=[])
    with pytest.raises(UsageError, match="experiences 1 and 3 have different transforms"):
        strategy.train(second, eval_streams=[])


def test_ordinary_transforms_are_skipped_where_they_are_the_same() -> None:
    stream = turned((90, 90), frozen=False).train_stream
    strategy = make(train_mb_size=20)
    for images in seen_by(strategy, stream):
        expected = torch.from_numpy(pictures().data).permute(0, 3, 1, 2).float() / 255
        torch.testing.assert_close(images.mean(0), expected.mean(0))


def test_ordinary_transforms_are_kept_on_request() -> None:
    stream = turned((0, 90), frozen=False).train_stream
    strategy = make(train_mb_size=20, use_dataset_transforms=True)
    for images, experience in zip(seen_by(strategy, stream), turned((0, 90)).train_stream, strict=True):
        torch.testing.assert_close(images.mean(0), frozen_images(experience.dataset).mean(0))


def test_avalanches_checkpoints_do_not_hold_the_images_that_were_compared(tmp_path: Path) -> None:
    sizes = []
    allow_save_checkpoint()
    for images in (40, 80):
        strategy = make(train_mb_size=20)
        strategy.train(turned((0, 0), frozen=False, n=images).train_stream[0], eval_streams=[])
        save_checkpoint(strategy, tmp_path / "theirs")
        sizes.append((tmp_path / "theirs").stat().st_size)
    assert abs(sizes[1] - sizes[0]) < 10 * pictures(1).data.nbytes
