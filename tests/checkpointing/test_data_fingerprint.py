"""A resumed run must have the stream of its checkpoint: contents and labels, not places."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from crashes.small_run import few_digits
from helpers.datasets import PictureDataset
from helpers.domains import turned
from helpers.resuming import make

from avalanche_ssl import rng
from avalanche_ssl.checkpointing import Checkpointer, file_format, stream_fingerprint
from avalanche_ssl.checkpointing.data_fingerprint import TOTAL
from avalanche_ssl.data import ArrayDataset, DataError
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import benchmark_from_parts

NAMES = ("cat", "dog")


def build(
    noise: bool = False, swap: bool = False, test_noise: bool = False, n: int = 40, names: Any = NAMES, parts: int = 2
) -> Any:
    """Experiences of two classes; `noise` replaces the images of the second one."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (n, 32, 32, 3), np.uint8)
    test = rng.integers(0, 256, (n, 32, 32, 3), np.uint8)
    targets = np.arange(n) % 2
    if noise:
        data[n // 2 :] = rng.integers(0, 256, data[n // 2 :].shape)
    if test_noise:
        test[0] ^= 1
    places = np.split(np.arange(n), parts)
    train = ArrayDataset(data, 1 - targets if swap else targets)
    return benchmark_from_parts(train, places, ArrayDataset(test, targets), places, names)


def fingerprint(benchmark: Any) -> Any:
    return stream_fingerprint(benchmark.train_stream, benchmark.test_stream, benchmark.class_names)


def checkpointer(benchmark: Any) -> Checkpointer:
    return Checkpointer(
        "checkpoint",
        make(benchmark),
        benchmark.train_stream,
        test_stream=benchmark.test_stream,
        class_names=benchmark.class_names,
    )


def test_equal_streams_have_equal_fingerprints_and_others_do_not() -> None:
    same = fingerprint(build())
    assert same == fingerprint(build())
    for change in ({"noise": True}, {"swap": True}, {"test_noise": True}, {"n": 42}, {"names": ("cat", "eel")}):
        assert fingerprint(build(**change)) != same


def test_it_is_made_of_plain_values() -> None:
    found = stream_fingerprint(build().train_stream)
    assert found["class_names"] is None and found["test"] == []
    assert [set(entry) for entry in found["train"]] == [{"size", "images", "labels"}] * 2
    assert all(isinstance(value, str | int) for entry in found["train"] for value in entry.values())


def test_images_that_are_decoded_one_by_one_have_that_of_the_same_in_arrays() -> None:
    arrays, items = (few_digits(decode=decode).train_stream for decode in (False, True))
    assert stream_fingerprint(arrays) == stream_fingerprint(items)


def test_no_random_state_changes() -> None:
    before = rng.capture()
    stream_fingerprint([Experience(Noisy(30))])
    after = rng.capture()
    assert torch.equal(before.pop("torch"), after.pop("torch")) and before == after


class Experience:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


class Noisy(PictureDataset):
    """Items are drawn from the global random states."""

    def __getitem__(self, index: int) -> Any:
        noise = random.randrange(256) ^ int(np.random.randint(256)) ^ int(torch.randint(256, ()))
        return torch.full((3, 8, 8), noise, dtype=torch.uint8), self.targets[index]


class Private(PictureDataset):
    """Items are drawn from a random state of the dataset's own."""

    own = random.Random(0)

    def __getitem__(self, index: int) -> Any:
        return torch.full((3, 8, 8), self.own.random()), self.targets[index]


class Lazy(PictureDataset):
    """The image comes into being in the transform."""

    def __getitem__(self, index: int) -> Any:
        return f"{index}.png", self.targets[index]


class Gone(PictureDataset):
    def __getitem__(self, index: int) -> Any:
        raise FileNotFoundError(2, "No such file", f"{index}.png")


def test_random_items_are_read_alike() -> None:
    assert len({str(stream_fingerprint([Experience(Noisy(30))])) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("kind", "words"), [(Private, "they differ from reading to reading"), (Lazy, "the dataset gives str where")]
)
def test_items_that_cannot_be_compared_are_said(kind: Any, words: str) -> None:
    with pytest.warns(
        UserWarning, match=rf"training images cannot be read without .* \(experience 1: {words}"
    ) as found:
        (entry,) = stream_fingerprint([Experience(kind(30))])["train"]
    assert entry == {"size": 30, "images": "", "labels": ""}
    assert "a resumed run compares their number only" in str(found[0].message)


def test_an_image_that_is_gone_is_named() -> None:
    with pytest.raises(DataError, match=r"cannot read image \d of Gone \(.*No such file"):
        stream_fingerprint([Experience(Gone(10))])


@pytest.mark.parametrize(("experiences", "images"), [(1, 5000), (50, 100), (3000, 2)])
def test_the_sample_is_small_and_spread(experiences: int, images: int) -> None:
    reads: list[tuple[int, int]] = []

    class Counting:
        targets = [0] * images

        def __init__(self, number: int) -> None:
            self.number = number

        def __len__(self) -> int:
            return images

        def __getitem__(self, index: int) -> Any:
            reads.append((self.number, index))
            return torch.zeros(3, 2, 2, dtype=torch.uint8), 0

    stream_fingerprint([Experience(Counting(number)) for number in range(experiences)])
    assert len(reads) <= TOTAL + experiences, "one of each is read twice"
    parts = np.asarray(sorted({number for number, _ in reads}))
    assert parts[-1] >= 0.9 * (experiences - 1) and (len(parts) == experiences or experiences > TOTAL)
    assert np.diff(parts).max(initial=0) <= 3
    positions = [index for _, index in reads]
    assert images == 2 or (min(positions) < images / 10 and max(positions) > images * 0.9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"noise": True}, "the images of experience 2 differ from those of the checkpoint: give the data that"),
        ({"swap": True}, "the labels of images of experiences 1, 2 differ from those of the checkpoint"),
        ({"test_noise": True}, "the test images of experience 1 differ from those of the checkpoint"),
        ({"names": ("cat", "eel")}, r"class names differ from those .* \(were cat, dog, are cat, eel\)"),
        ({"names": None}, r"\(were cat, dog, are none\)"),
        ({"n": 44}, r"images was \[20, 20\], is \[22, 22\]"),
    ],
)
def test_another_stream_is_refused_by_name(change: Any, words: str) -> None:
    checkpointer(build()).save()
    other = build(**change)
    with pytest.raises(UsageError, match=words) as error:
        checkpointer(other).resume()
    assert "\n" not in str(error.value)
    assert checkpointer(build()).resume()


def test_another_number_of_test_images_and_experiences_is_refused() -> None:
    checkpointer(build()).save()
    saved = file_format.read(checkpointer(build()).path)
    saved["stream"]["test"][1]["size"] = 7
    file_format.write(checkpointer(build()).path, saved)
    with pytest.raises(UsageError, match="the number of test images of experience 2 differs from those of the ch"):
        checkpointer(build()).resume()
    saved["stream"]["test"] = saved["stream"]["test"][:1]
    file_format.write(checkpointer(build()).path, saved)
    with pytest.raises(UsageError, match="the checkpoint has 1 test experiences, the stream has 2: give the data"):
        checkpointer(build()).resume()


def test_of_many_experiences_a_few_are_named() -> None:
    checkpointer(build(parts=20)).save()
    with pytest.raises(UsageError, match="images of experiences 11, 12, 13, 14, 15 and 5 more differ"):
        checkpointer(build(parts=20, noise=True)).resume()


def test_frozen_transforms_are_part_of_the_images() -> None:
    turned_apart, as_they_are = (stream_fingerprint(turned(angles).train_stream) for angles in ((0, 90), (0, 0)))
    assert len({entry["images"] for entry in turned_apart["train"]}) == 2
    assert len({entry["images"] for entry in as_they_are["train"]}) == 1
    assert stream_fingerprint(turned((0, 90)).train_stream) == turned_apart
