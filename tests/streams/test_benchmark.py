"""Benchmarks hold the images of each experience, with their labels and a task label."""

from __future__ import annotations

import numpy as np
import torch
from helpers.streams import check_benchmark, images

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.streams import benchmark_from_parts


def dataset(n: int, seed: int = 0) -> ArrayDataset:
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), np.uint8)
    return ArrayDataset(pixels, [i % 3 for i in range(n)])


def test_experiences_hold_the_images_of_their_parts() -> None:
    train, test = dataset(12), dataset(6, 1)
    parts, test_parts = [np.array([0, 3, 4, 1]), np.array([11, 2])], [np.array([0, 1]), np.array([5])]
    benchmark = benchmark_from_parts(train, parts, test, test_parts, ["a", "b", "c"])
    check_benchmark(benchmark)
    assert benchmark.class_names == ["a", "b", "c"]
    for stream, data, expected in ((benchmark.train_stream, train, parts), (benchmark.test_stream, test, test_parts)):
        for experience, part in zip(stream, expected, strict=True):
            assert list(experience.dataset.targets) == [data.targets[i] for i in part]
            assert list(experience.dataset.targets_task_labels) == [0] * len(part)
            assert torch.equal(images(experience.dataset), torch.from_numpy(data.data[part]).permute(0, 3, 1, 2))


def test_a_stream_without_test_images() -> None:
    benchmark = benchmark_from_parts(dataset(4), [np.arange(4)], None, [], None)
    assert len(benchmark.test_stream) == 0
    assert benchmark.class_names is None
