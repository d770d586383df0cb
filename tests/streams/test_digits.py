"""Streams of digits: which digits are in which experience, and how much pixels tell of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.streams import check_benchmark, classes, images

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import photograph_digits, plain_digits


@pytest.fixture(scope="module")
def embedded() -> Any:
    return streams.split_digits()


def sizes(benchmark: Any) -> tuple[int, int]:
    train, test = (sum(len(e.dataset) for e in s) for s in (benchmark.train_stream, benchmark.test_stream))
    return train, test


def test_split_digits_has_ten_experiences_of_one_digit_each(embedded: Any) -> None:
    check_benchmark(embedded)
    assert [len(classes(e)) for e in embedded.train_stream] == [1] * 10
    assert set.union(*map(classes, embedded.train_stream)) == set(range(10))
    assert embedded.class_names == [str(digit) for digit in range(10)]
    assert images(embedded.train_stream[0].dataset).shape[1:] == (3, 32, 32)
    assert sizes(embedded) == (6 * (1797 - 599), 3 * 599)


def test_digits_on_photographs_has_five_experiences(on_photographs: Any) -> None:
    check_benchmark(on_photographs)
    assert [len(classes(e)) for e in on_photographs.train_stream] == [2] * 5
    assert set.union(*map(classes, on_photographs.train_stream)) == set(range(10))
    assert on_photographs.class_names == [str(digit) for digit in range(10)]
    assert sizes(on_photographs) == (8 * 1201, 4 * 596)
    assert images(on_photographs.train_stream[0].dataset).shape[1:] == (3, 32, 32)


@pytest.mark.parametrize(
    ("builder", "drawn"),
    [("split_digits", plain_digits.plain_digits), ("digits_on_photographs", photograph_digits.photograph_digits)],
)
def test_the_seed_draws_images_and_classes(builder: str, drawn: Any) -> None:
    one, again, other = (getattr(streams, builder)(5, composites=2, seed=seed) for seed in (3, 3, 4))
    for first, second in zip(one.train_stream, again.train_stream, strict=True):
        assert torch.equal(images(first.dataset), images(second.dataset))
    assert [classes(e) for e in one.train_stream] != [classes(e) for e in other.train_stream]
    for part, stream in zip(drawn(2, 3), (one.train_stream, one.test_stream), strict=True):
        dealt = {x.tobytes() for e in stream for x in images(e.dataset).permute(0, 2, 3, 1).numpy()}
        assert dealt == {x.tobytes() for x in part.data}


def test_images_differ_in_color_place_and_background(embedded: Any, on_photographs: Any) -> None:
    for benchmark in (embedded, on_photographs):
        x = images(benchmark.train_stream[0].dataset).float()
        assert x.mean((2, 3)).std(0).min() > 10
        assert len(x.byte().flatten(1).unique(dim=0)) == len(x)


def test_pixels_tell_little(embedded: Any) -> None:
    """Ridge regression on raw pixels is near chance, where it has two thirds on photographs."""
    from sklearn.linear_model import RidgeClassifier

    def data(stream: Any) -> tuple[Any, Any]:
        x = np.concatenate([images(e.dataset)[::3].float().reshape(-1, 3, 16, 2, 16, 2).mean((3, 5)) for e in stream])
        return x.reshape(len(x), -1), np.concatenate([e.dataset.targets[::3] for e in stream])

    x, y = data(embedded.train_stream)
    tested, labels = data(embedded.test_stream)
    assert RidgeClassifier(1e6).fit(x, y).score(tested, labels) < 0.3


def test_an_experience_of_rotated_digits_is_an_angle(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    made = plain_digits.draw
    monkeypatch.setattr(plain_digits, "draw", lambda masks, rng, turns: seen.append(turns) or made(masks, rng, turns))
    benchmark = streams.rotated_digits(4, composites=2)
    check_benchmark(benchmark)
    assert [classes(e) for e in benchmark.train_stream] == [set(range(10))] * 4
    assert all(np.array_equal(turns, [0, 30, 60, 90]) for turns in seen)
    plain = plain_digits.plain_digits(2, 0, np.array([0.0, 30, 60, 90]))[0]
    second = images(benchmark.train_stream[1].dataset)
    assert np.array_equal(second[3].permute(1, 2, 0), plain.data[4 * 3 + 1])


def test_rotated_digits_has_five_experiences() -> None:
    benchmark = streams.rotated_digits(composites=2)
    assert len(benchmark.train_stream) == len(benchmark.test_stream) == 5
    assert [classes(e) for e in benchmark.test_stream] == [set(range(10))] * 5


def test_images_of_one_digit_have_its_number() -> None:
    """So that a validation part has no image of a training digit."""
    for builder, composites, times in (
        (streams.split_digits, 3, 3),
        (streams.rotated_digits, 3, 3),
        (streams.digits_on_photographs, 3, 2),
    ):
        found = np.concatenate(builder(2, composites=composites).base_objects)
        assert np.array_equal(np.unique(found, return_counts=True)[1], [times] * (len(found) // times))


@pytest.mark.parametrize("build", [streams.split_digits, streams.digits_on_photographs])
def test_digits_take_every_option(build: Any) -> None:
    plain = build(5, composites=2)
    blurry = build(5, incremental="blurry", leak=0.2, composites=2)
    size = sum(len(e.dataset) for e in plain.train_stream)
    assert sum(len(e.dataset) for e in blurry.train_stream) == size
    assert all(len(set(e.dataset.targets)) == 10 for e in blurry.train_stream)
    assert [set(e.dataset.targets) for e in blurry.test_stream] == [set(e.dataset.targets) for e in plain.test_stream]
    tail = build(5, imbalance=20.0, incremental="data", composites=2)
    assert sum(len(e.dataset) for e in tail.train_stream) < size / 2
    again = build(6, incremental="repeated", repeats=3, composites=2)
    assert [len(set(e.dataset.targets)) for e in again.train_stream] == [5] * 6


@pytest.mark.parametrize(
    ("builder", "options", "said"),
    [
        ("split_digits", {"experiences": 11}, "10 classes into 11 experiences: give 1 to 10"),
        ("split_digits", {"composites": 0}, "composites=0 of a digit: give 1 or more"),
        ("digits_on_photographs", {"experiences": 11}, "10 classes into 11 experiences: give 1 to 10"),
        ("digits_on_photographs", {"composites": 1}, "composites=1 of a digit: give 2 or more"),
        ("rotated_digits", {"experiences": 11}, "in 11 experiences: give 2 to 10"),
        ("rotated_digits", {"experiences": 1}, "in 1 experiences: give 2 to 10"),
    ],
)
def test_wrong_options_are_refused(builder: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        getattr(streams, builder)(**options)
