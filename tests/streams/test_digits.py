"""Digits on photographs: what they are made of, and in which experience they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.streams import check_benchmark, classes, images

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import digits


def test_split_digits(default: Any) -> None:
    check_benchmark(default)
    assert [len(classes(e)) for e in default.train_stream] == [2] * 5
    assert set.union(*map(classes, default.train_stream)) == set(range(10))
    assert default.class_names == [str(digit) for digit in range(10)]
    n_train = sum(len(e.dataset) for e in default.train_stream)
    n_test = sum(len(e.dataset) for e in default.test_stream)
    assert (n_train, n_test) == (8 * 1201, 4 * 596)
    assert images(default.train_stream[0].dataset).shape[1:] == (3, 32, 32)


def test_split_digits_is_decided_by_its_seed(default: Any) -> None:
    again, other = streams.split_digits(), streams.split_digits(seed=1)
    for one, two in zip(default.train_stream, again.train_stream, strict=True):
        assert torch.equal(images(one.dataset), images(two.dataset))
    assert [classes(e) for e in default.train_stream] != [classes(e) for e in other.train_stream]


def test_a_composite_follows_its_formula() -> None:
    """Where the mask is 1 there is the color alone, where it is 0 the photograph at 0.6."""
    gray = [np.full((40, 50, 3), 100, np.uint8)] * 2
    masks = np.zeros((1, 28, 28), np.float32)
    masks[0, :14] = 1
    one = np.ones(1, bool)
    made = digits._composites(masks, np.zeros(1, np.int64), one, 4, [gray, gray], np.random.default_rng(0))
    for image in made.data:
        color_or_photo = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
        assert len(color_or_photo) == 2
        assert (60, 60, 60) in color_or_photo
        assert (image != 60).any(-1).sum() == 14 * 28


def test_digits_differ_in_color_place_and_background(default: Any) -> None:
    x = images(default.train_stream[0].dataset).float()
    assert x.mean((2, 3)).std(0).min() > 10
    assert len(x.byte().flatten(1).unique(dim=0)) == len(x)


def test_digits_domain() -> None:
    benchmark = streams.digits_domain()
    check_benchmark(benchmark)
    assert [classes(e) for e in benchmark.train_stream] == [set(range(10))] * 2
    flower, china = (images(e.dataset).float().mean((0, 2, 3)) for e in reversed(list(benchmark.train_stream)))
    assert flower[0] - flower[2] > china[0] - china[2]
    with pytest.raises(UsageError, match="two photographs into 3"):
        streams.digits_domain(3)


def test_digits_refuse() -> None:
    with pytest.raises(UsageError, match="10 classes into 11 experiences: give 1 to 10"):
        streams.split_digits(11)
    with pytest.raises(UsageError, match="composites=1"):
        streams.split_digits(composites=1)


def test_digits_take_every_option() -> None:
    plain = streams.split_digits(composites=2)
    blurry = streams.split_digits(incremental="blurry", leak=0.2, composites=2)
    size = sum(len(e.dataset) for e in plain.train_stream)
    assert sum(len(e.dataset) for e in blurry.train_stream) == size
    assert all(len(set(e.dataset.targets)) == 10 for e in blurry.train_stream)
    assert [set(e.dataset.targets) for e in blurry.test_stream] == [set(e.dataset.targets) for e in plain.test_stream]
    tail = streams.split_digits(imbalance=20.0, incremental="data", composites=2)
    assert sum(len(e.dataset) for e in tail.train_stream) < size / 2
    again = streams.split_digits(6, incremental="repeated", repeats=3, composites=2)
    assert [len(set(e.dataset.targets)) for e in again.train_stream] == [5] * 6
