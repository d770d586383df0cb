"""A validation part shares no base object with what is trained on, and stands where the test data were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avalanche.benchmarks import benchmark_from_datasets
from helpers.fake_core50 import write_frames
from helpers.streams import check_benchmark, classes, images
from numpy.typing import NDArray

from avalanche_ssl import streams
from avalanche_ssl.data import ArrayDataset, class_labels, leaf_datasets
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import IncrementalSplit, benchmark_from_parts, validation_stream

OBJECTS, TIMES, CLASSES = 24, 3, 6


def marked(stream: Sequence[Any]) -> list[NDArray[np.int64]]:
    """The number of the base object in each image, by experience: the value of its pixels."""
    return [images(e.dataset)[:, 0, 0, 0].numpy().astype(np.int64) for e in stream]


def composites(experiences: int = 3, **split: Any) -> Any:
    """24 objects, three images each, in 6 classes of 4 objects; the test images are of objects from 100."""
    number = np.repeat(np.arange(OBJECTS), TIMES)
    increments = IncrementalSplit(experiences, **split)

    def data(first: int) -> ArrayDataset:
        pixels = np.broadcast_to((first + number)[:, None, None, None], (len(number), 8, 8, 3))
        return ArrayDataset(pixels.astype(np.uint8), number % CLASSES)

    train, test = data(0), data(100)
    parts = increments.train_parts(train.targets, CLASSES), increments.test_parts(test.targets, CLASSES)
    names = [f"class {i}" for i in range(CLASSES)]
    return benchmark_from_parts(train, parts[0], test, parts[1], names, number)


def test_one_object_of_four_is_held_out_with_all_its_images() -> None:
    before = composites()
    found = validation_stream(before, seed=0)
    check_benchmark(found)
    train, held = marked(found.train_stream), marked(found.test_stream)
    assert [len(part) for part in train] == [3 * 6] * 3 and [len(part) for part in held] == [6] * 3
    assert not set(np.concatenate(train)) & set(np.concatenate(held))
    assert set(np.concatenate(train)) | set(np.concatenate(held)) == set(range(OBJECTS)), "no test image"
    assert sorted(value % CLASSES for value in set(np.concatenate(held))) == list(range(CLASSES))
    assert found.class_names == before.class_names
    for e, whole in zip(found.train_stream, before.train_stream, strict=True):
        assert classes(e) == classes(whole)


def test_the_seed_draws_the_part() -> None:
    first, again, other = (marked(validation_stream(composites(), seed).test_stream) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert set(np.concatenate(first)) != set(np.concatenate(other))


def test_leaked_images_are_validated_where_their_class_is_tested() -> None:
    found = validation_stream(composites(incremental="blurry", leak=0.4), seed=0)
    assert all(len(classes(e)) > 2 for e in found.train_stream), "they leak in training"
    assert [len(part) for part in marked(found.test_stream)] == [6] * 3
    assert [len(classes(e)) for e in found.test_stream] == [2] * 3


def test_experiences_that_share_classes_validate_on_their_own_images() -> None:
    before = composites(incremental="data")
    found = validation_stream(before, seed=0)
    held = set(np.concatenate(marked(found.test_stream)))
    for whole, train, tested in zip(
        *map(marked, (before.train_stream, found.train_stream, found.test_stream)), strict=True
    ):
        assert sorted(np.concatenate([train, tested])) == sorted(whole)
        assert set(tested) <= held and not set(train) & held


def test_without_base_objects_each_image_is_one(digits: Any) -> None:
    plain = composites()
    del plain.base_objects
    sizes = [len(part) for part in marked(validation_stream(plain, seed=0).test_stream)]
    assert sizes == [2 * 3] * 3, "a quarter of 12 images of each of 2 classes"


def test_digits_keep_the_composites_of_a_digit_together(digits: Any) -> None:
    """Two composites of one digit have one number, and the images of a number are of one class."""
    numbers, labels = (
        np.concatenate(digits.base_objects),
        np.concatenate([e.dataset.targets for e in digits.train_stream]),
    )
    assert sorted(np.bincount(numbers)) == [2] * 1201
    pairs = np.unique(np.stack([numbers, labels]), axis=1)
    assert pairs.shape[1] == 1201
    found = validation_stream(digits, seed=0)
    sizes = [sum(len(e.dataset) for e in stream) for stream in (found.train_stream, found.test_stream)]
    assert sum(sizes) == 2402 and sizes[1] == 2 * sum(int(0.25 * n + 0.5) for n in np.bincount(pairs[1]))


@pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
def test_videos_of_core50_are_not_cut(tmp_path: Path) -> None:
    """Two of the eight training videos of an object are held out; experiences are tested on those of their objects."""
    write_frames(tmp_path, frames=2)
    benchmark = streams.core50_stream("nic", tmp_path, size=32)
    found = validation_stream(benchmark, seed=0)

    def videos(dataset: Any) -> set[int]:
        leaves, _, index = leaf_datasets(dataset)
        assert len(leaves) == 1
        return set((index // 2).tolist())  # frames lie by video

    trained = set.union(*(videos(e.dataset) for e in found.train_stream))
    tested = set.union(*(videos(e.dataset) for e in found.test_stream))
    assert not trained & tested and len(trained) == 50 * 6 and len(tested) == 50 * 2
    assert len(found.train_stream) <= len(benchmark.train_stream)
    for train, test in zip(found.train_stream, found.test_stream, strict=True):
        assert classes(train) <= classes(test) and len(test.dataset) == 4 * len(classes(test))
    assert not hasattr(found, "probing_tasks"), "they are about test images"
    assert found.ordered is False


def test_the_first_experiences_alone() -> None:
    found = validation_stream(composites(), seed=0, experiences=2)
    assert len(found.train_stream) == len(found.test_stream) == 2
    known = set.union(*map(classes, composites().train_stream[:2]))
    assert set.union(*map(classes, found.train_stream)) == set.union(*map(classes, found.test_stream)) == known
    assert found.class_names is None


def test_one_test_set_for_all_stays_one() -> None:
    plain = composites()
    train = [e.dataset for e in plain.train_stream]
    one = benchmark_from_datasets(train=train, test=[plain.test_stream[0].dataset])
    one.class_names, one.base_objects = None, plain.base_objects
    found = validation_stream(one, seed=0)
    assert len(found.train_stream) == 3 and [len(part) for part in marked(found.test_stream)] == [18]


def test_an_unlabeled_image_is_not_scored() -> None:
    """It stays with its object: that of a validation object is not trained on either."""
    number = np.repeat(np.arange(8), 2)
    labels = np.where(np.arange(16) % 2, number % 2, -1)
    pixels = np.broadcast_to(number[:, None, None, None], (16, 8, 8, 3)).astype(np.uint8)
    data = ArrayDataset(pixels, labels)
    found = validation_stream(benchmark_from_parts(data, [np.arange(16)], data, [np.arange(16)], None, number), 0)
    (train,), (held,) = marked(found.train_stream), marked(found.test_stream)
    assert (class_labels(found.test_stream[0].dataset) >= 0).all() and len(held) == 2
    assert not set(train) & set(held) and len(train) == 12


def test_what_has_no_validation_part_is_refused(tmp_path: Path) -> None:
    few = ArrayDataset(np.zeros((3, 8, 8, 3), np.uint8), [0, 0, 1])
    with pytest.raises(UsageError, match="class '1' has 1 base object, and training and validation need one each"):
        validation_stream(benchmark_from_parts(few, [np.arange(3)], few, [np.arange(3)], None), 0)
    with pytest.raises(UsageError, match="no labels or nothing to test"):
        validation_stream(benchmark_from_parts(few, [np.arange(3)], None, [], None), 0)
    with pytest.raises(UsageError, match="cannot validate on 4 of 3 experiences: give 1 to 3"):
        validation_stream(composites(), 0, experiences=4)
    shards = composites()
    shards.probing_stream = []
    with pytest.raises(UsageError, match="images in shards give no validation part"):
        validation_stream(shards, 0)
