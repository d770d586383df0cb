"""Images come in the experiences that the kind of stream says, each once, the same everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import IncrementalSplit
from avalanche_ssl.streams.partitions import class_groups, equal_parts, held_out, long_tail, most_experiences

SIZES = [40, 25, 31, 7, 60, 18]
TARGETS = np.random.default_rng(0).permutation(np.repeat(np.arange(len(SIZES)), SIZES)).tolist()


def train(experiences: int = 3, **options: Any) -> list[np.ndarray]:
    split = IncrementalSplit(experiences, **options)
    split.check(len(SIZES))
    return split.train_parts(TARGETS, len(SIZES))


def counts(parts: list[np.ndarray]) -> np.ndarray:
    """Images (E, C) of each experience and class."""
    return np.stack([np.bincount(np.asarray(TARGETS)[part], minlength=len(SIZES)) for part in parts])


@pytest.mark.parametrize("experiences", [2, 3, 6])
@pytest.mark.parametrize("kind", ["class", "data", "blurry", "repeated"])
def test_every_image_comes_exactly_once(kind: str, experiences: int) -> None:
    split = IncrementalSplit(experiences, kind, leak=0.3, repeats=2)
    for parts in (split.train_parts(TARGETS, 6), split.test_parts(TARGETS, 6)):
        assert len(parts) == experiences
        assert np.sort(np.concatenate(parts)).tolist() == list(range(len(TARGETS)))


GOLDEN = {
    "class": [[3, 4], [1, 2], [0, 7]],
    "data": [[1, 7], [2, 3], [0, 4]],
    "blurry": [[0, 4], [1, 2], [3, 7]],
    "repeated": [[9, 12], [2, 10], [0, 1]],
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_a_stream_is_the_same_everywhere(kind: str) -> None:
    """Pinned, so that no version and platform draws another stream in silence."""
    assert [part[:2].tolist() for part in train(incremental=kind, leak=0.3, seed=7)] == GOLDEN[kind]
    assert long_tail([0] * 6 + [1] * 6, 2, 3.0, 7).tolist() == [0, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("kind", ["class", "data", "blurry", "repeated"])
def test_the_seed_decides(kind: str) -> None:
    first, again, other = (train(incremental=kind, imbalance=3.0, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other))


def test_blurry_leaks_the_share_evenly() -> None:
    pure, blurry = (counts(train(incremental=kind, leak=0.3)) for kind in ("class", "blurry"))
    for label, size in enumerate(SIZES):
        home = int(pure[:, label].argmax())
        leaked = np.delete(blurry[:, label], home)
        assert leaked.sum() == int(0.3 * size + 0.5)
        assert np.ptp(leaked) <= 1
    eval_mode = zip(train(incremental="blurry", leak=0.0), train())
    assert all(np.array_equal(a, b) for a, b in eval_mode)


def test_what_leaks_is_drawn_at_random_and_remainders_are_spread() -> None:
    targets = np.repeat(np.arange(50), 20)
    parts = IncrementalSplit(5, "blurry", leak=0.05).train_parts(targets, 50)  # one image of each class
    leaked = np.stack([np.bincount(targets[part], minlength=50) for part in parts]) == 1
    assert leaked.sum() == 50
    assert (leaked.sum(1) > 4).all(), "not all to the same experience"
    home = IncrementalSplit(5).train_parts(targets, 50)
    moved = np.concatenate([np.setdiff1d(part, own) for part, own in zip(parts, home)])
    assert len(set((moved % 20).tolist())) > 8, "not always the first image of a class"


def test_tests_of_blurry_classes_stay_at_home() -> None:
    split = IncrementalSplit(3, "blurry", leak=0.5, imbalance=10.0)
    pairs = zip(split.test_parts(TARGETS, 6), IncrementalSplit(3).test_parts(TARGETS, 6), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_repeated_classes_come_in_every_round() -> None:
    found = counts(train(5, incremental="repeated", repeats=2))  # rounds of 3 and 2 experiences
    rounds = found[:3], found[3:]
    for round_ in rounds:
        assert ((round_ > 0).sum(0) == 1).all(), "each class once a round"
    assert (abs(rounds[0].sum(0) - rounds[1].sum(0)) <= 1).all(), "with an equal part of its images"
    both = IncrementalSplit(6, "repeated", repeats=2).train_parts(TARGETS, 6)
    groups = [frozenset(np.flatnonzero(row).tolist()) for row in counts(both)]
    assert set(groups[:3]) != set(groups[3:]), "in another order"


def test_class_order_is_that_of_the_first_round() -> None:
    order = [5, 4, 3, 2, 1, 0]
    found = counts(train(4, incremental="repeated", repeats=2, class_order=order))
    assert [np.flatnonzero(row).tolist() for row in found[:2]] == [[3, 4, 5], [0, 1, 2]]


def test_imbalance_follows_its_profile() -> None:
    sizes = [1000] * 5
    targets = np.repeat(np.arange(5), sizes)
    kept = long_tail(targets, 5, 100.0, 0)
    left = np.bincount(targets[kept])
    assert sorted(left.tolist(), reverse=True) == [1000, 316, 100, 32, 10]
    assert left.tolist() != sorted(left.tolist(), reverse=True), "ranks are drawn"
    smallest = kept[targets[kept] == left.argmin()] % 1000
    assert smallest.tolist() != list(range(10)), "images are drawn"
    assert np.bincount(targets[long_tail(targets, 5, 1e9, 0)]).min() == 1, "no class is lost"
    split = IncrementalSplit(2, imbalance=100.0)
    assert np.sort(np.concatenate(split.train_parts(targets, 5))).tolist() == kept.tolist()
    assert sum(map(len, split.test_parts(targets, 5))) == 5000, "in training only"


def test_no_experience_is_empty() -> None:
    """A class of one image cannot come twice."""
    with pytest.raises(UsageError, match=r"experience \d would have no test image: give fewer experiences"):
        IncrementalSplit(4, "repeated", repeats=2).test_parts([0, 1], 2)


@pytest.mark.parametrize(("n_classes", "experiences"), [(10, 3), (10, 10), (7, 2), (100, 11), (5, 1)])
def test_no_class_is_lost(n_classes: int, experiences: int) -> None:
    groups = class_groups(n_classes, experiences, seed=0)
    assert sorted(np.concatenate(groups).tolist()) == list(range(n_classes))
    sizes = [len(group) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1


def test_class_order() -> None:
    assert [g.tolist() for g in class_groups(5, 2, 0, [4, 3, 2, 1, 0])] == [[4, 3, 2], [1, 0]]
    for wrong in ([0, 1, 2], [0, 1, 2, 3, 3], [1, 2, 3, 4, 5]):
        with pytest.raises(UsageError, match="every number from 0 to 4 once"):
            class_groups(5, 2, 0, wrong)


def test_equal_parts_balance_classes() -> None:
    targets = np.repeat([2, 0, 1], [11, 20, 30])
    parts = equal_parts(targets.tolist(), 4, 0, "training")
    assert sorted(np.concatenate(parts).tolist()) == list(range(61))
    assert {len(part) for part in parts} == {15, 16}
    counts = np.stack([np.bincount(targets[part], minlength=3) for part in parts])
    assert (np.ptp(counts, axis=0) <= 1).all()
    with pytest.raises(UsageError, match="3 test images into 4"):
        equal_parts([0, 0, 0], 4, 0, "test")


def test_a_fraction_of_each_class_is_held_out() -> None:
    names = list("abcdef")
    rest, test = held_out(TARGETS, 0.2, 0, names)
    assert np.array_equal(np.sort(np.concatenate([rest, test])), np.arange(len(TARGETS)))
    assert np.bincount(np.asarray(TARGETS)[test]).tolist() == [8, 5, 6, 1, 12, 4]
    assert np.array_equal(test, held_out(TARGETS, 0.2, 0, names)[1])
    assert not np.array_equal(test, held_out(TARGETS, 0.2, 1, names)[1])
    for fraction, count in ((0.001, 1), (0.999, 1)):
        assert len(held_out([0, 0], fraction, 0, ["a"])[1]) == count, "one for training, one for testing"
    with pytest.raises(UsageError, match="class 'b' has 1 image"):
        held_out([0, 0, 1], 0.2, 0, ["a", "b"])


@pytest.mark.parametrize(("kind", "most"), [("class", 6), ("blurry", 6), ("repeated", 18), ("data", 7)])
def test_the_largest_number_of_experiences(kind: str, most: int) -> None:
    split = IncrementalSplit(most, kind, repeats=3)
    assert most_experiences(split, 6, 7) == most
    split.check(6)
    with pytest.raises(UsageError, match="give 1 to"):
        IncrementalSplit(most + 1, kind, repeats=3).train_parts(TARGETS[:7], 6)
