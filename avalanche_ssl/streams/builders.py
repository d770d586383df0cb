"""Builders of streams, by name; they import torch and Avalanche when called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalanche_ssl.streams.splits import IncrementalSplit, SplitOptions, with_split_options

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario, CLStream, DatasetExperience
    from typing_extensions import Unpack


@with_split_options
def split_digits(experiences: int = 10, *, composites: int = 6, **split: Unpack[SplitOptions]) -> CLScenario:
    """Handwritten digits in two random colors, of any size and place, 10 classes, 32x32; nothing to download.

    scikit-learn's 1,797 digits, each drawn several times; a third of the digits, the same for every seed, is for
    testing. Digit and ground have one random color each, either of which may be the lighter, so that pixels tell
    little. `seed` draws the images and the order of the classes.

    Args:
        experiences: 1 to 10.
        composites: images of a training digit, half as many of a test digit.
    """
    from avalanche_ssl.streams.digits import plain_by_class

    return plain_by_class(composites, IncrementalSplit(experiences, **split))


def rotated_digits(experiences: int = 5, *, seed: int = 0, composites: int = 6) -> CLScenario:
    """The digits of `split-digits`, all classes at once; each experience turns them further, up to 90 degrees.

    They are turned clockwise in equal steps from upright, in the spirit of Rotated MNIST (Lopez-Paz & Ranzato 2017,
    arXiv:1706.08840); 2 to 10 experiences.
    """
    from avalanche_ssl.streams.digits import plain_by_angle

    return plain_by_angle(experiences, composites, seed)


@with_split_options
def digits_on_photographs(experiences: int = 5, *, composites: int = 8, **split: Unpack[SplitOptions]) -> CLScenario:
    """Handwritten digits in bright colors on photographs, 10 classes, 32x32; nothing to download.

    scikit-learn's digits over patches of its two photographs, in the spirit of MNIST-M (Ganin & Lempitsky 2015,
    arXiv:1409.7495); another third of the digits than in `split-digits` is for testing. Pixels tell two thirds of
    them. `seed` draws the images and the order of the classes.

    Args:
        experiences: 1 to 10.
        composites: images of a training digit, half as many of a test digit; half of them on either photograph.
    """
    from avalanche_ssl.streams.digits import photographs_by_class

    return photographs_by_class(composites, IncrementalSplit(experiences, **split))


@with_split_options
def split_cifar10(experiences: int = 5, *, data: str | Path | None = None, **split: Unpack[SplitOptions]) -> CLScenario:
    """CIFAR-10 in parts of different classes, 32x32; downloaded when absent.

    `data` is the folder that holds `cifar-10-batches-py`, or into which it is downloaded: by default Avalanche's.
    """
    from avalanche_ssl.streams.cifar import cifar_benchmark

    return cifar_benchmark("CIFAR10", data, IncrementalSplit(experiences, **split))


@with_split_options
def split_cifar100(
    experiences: int = 10, *, data: str | Path | None = None, **split: Unpack[SplitOptions]
) -> CLScenario:
    """CIFAR-100 in parts of different classes, 32x32; downloaded when absent.

    Options as for `split_cifar10`; the folder inside `data` is `cifar-100-python`.
    """
    from avalanche_ssl.streams.cifar import cifar_benchmark

    return cifar_benchmark("CIFAR100", data, IncrementalSplit(experiences, **split))


@with_split_options
def split_tiny_imagenet(
    data: str | Path,
    *,
    experiences: int = 10,
    size: int = 64,
    damaged: str = "refuse",
    **split: Unpack[SplitOptions],
) -> CLScenario:
    """Tiny ImageNet in parts of different classes, 64x64, from its folder as it is distributed.

    `data` is the folder `tiny-imagenet-200`, or the one that it lies in. Classes are numbered as in `wnids.txt` and
    named as in `words.txt`; the validation images are the test images. `damaged` is "refuse" or "skip".
    """
    from avalanche_ssl.streams.image_folder import ReadOptions
    from avalanche_ssl.streams.tiny_imagenet import tiny_imagenet_benchmark

    root, read = Path(data).expanduser(), ReadOptions(size, damaged)
    return tiny_imagenet_benchmark(root, read, IncrementalSplit(experiences, **split))


@with_split_options
def folder(  # type: ignore[misc]  # its `incremental` has another default than that of the split options
    data: str | Path,
    *,
    experiences: int | None = None,
    size: int = 32,
    incremental: str = "auto",
    labels: str = "auto",
    test_fraction: float = 0.2,
    damaged: str = "refuse",
    value_range: tuple[float, float] | None = None,
    **split: Unpack[SplitOptions],
) -> CLScenario:
    """Your own images: train/CLASS/* and test/CLASS/*, CLASS/*, images without labels, or a text file that lists them.

    Images are decoded once, resized to `size` (shorter side, then the center) and kept in memory. Classes are numbered
    in alphabetical order; without labels every label is -1. What is found and taken for what is printed.

    Args:
        data: a folder, or a text file with the path of an image on each line, relative to the file, and a label after a
            tab; several joined as in `PATH`. Links are followed, hidden files are not read.
        experiences: None: 10, or as many as the classes allow.
        size: pixels a side.
        incremental: as for `IncrementalSplit`; "auto": "class", or "data" without labels.
        labels: "auto": folders that hold images are classes, if there are two or more, or any in `train`; "none": no
            folder is a class, and no label of a list is read.
        test_fraction: of each class, for testing, where there is no folder `test` (or `val`); drawn by `seed`.
        damaged: "refuse" or "skip" images that cannot be decoded.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
    """
    from avalanche_ssl.streams.image_folder import ReadOptions, folder_benchmark

    increments = IncrementalSplit(10 if experiences is None else experiences, incremental, **split)
    read = ReadOptions(size, damaged, value_range, test_fraction)
    return folder_benchmark(data, labels, read, increments, fewer_experiences=experiences is None)


def shards(
    data: str | Path,
    *,
    experiences: int | None = None,
    size: int = 32,
    block: int = 100_000,
    labels: str = "auto",
    probe_images: int = 50_000,
    value_range: tuple[float, float] | None = None,
) -> CLScenario:
    """Very many images, in tar files as webdataset writes them: train/*.tar and test/*.tar, or train/EXPERIENCE/*.tar.

    Images are decoded when they are read, resized to `size` (shorter side, then the center), and memory does not grow
    with their number. An epoch shuffles the shards, then the images of each block. Field `cls` is the class label.

    Args:
        data: the folder, with the index that `avalanche-ssl shards --index FOLDER` makes.
        experiences: None: one per folder in `train`, or one; otherwise the shards are cut into so many, in the order
            of their names.
        size: pixels a side.
        block: images that are shuffled together.
        labels: "auto": those of the field `cls`, where there is one; "none".
        probe_images: labeled training images, spread evenly, that probes are fitted on.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
    """
    from avalanche_ssl.streams.shard_stream import ShardOptions, shards_benchmark

    options = ShardOptions(size, block, labels, probe_images, value_range)
    return shards_benchmark(Path(data).expanduser(), experiences, options)


def core50_stream(
    scenario: str,
    data: str | Path,
    *,
    run: int = 0,
    size: int = 32,
    labels: str = "object",
    order: str = "shuffled",
    damaged: str = "refuse",
    cache: str | Path | None = None,
) -> CLScenario:
    """CORe50 (arXiv:1705.03550): videos of 50 hand-held objects in 11 sessions, of which 3, 7 and 10 are for testing.

    Experience j of `test_stream` holds all test frames of the objects in experience j of `train_stream`.

    Args:
        scenario: "ni" (8 experiences), "nc" (9), "nic" (79), "nicv2-79", "nicv2-196" or "nicv2-391".
        data: the folder that holds `core50_128x128` or its zip file; the official file lists or pickles, if they are
            in that folder too, decide the order. Only NICv2 needs them.
        run: 0 to 9, the official orders.
        size: 32, 64 or 128 pixels a side. Frames are decoded once, into `core50-SIZE.npy` next to the data.
        labels: "object" (50 classes) or "category" (10).
        order: "shuffled" or "video", in which the frames of an experience are trained on.
        damaged: "refuse" or "skip" frames that cannot be decoded.
        cache: the folder for the decoded frames, if not the one with the data.
    """
    from avalanche_ssl.streams.core50 import core50_benchmark

    root, cache = Path(data).expanduser(), None if cache is None else Path(cache).expanduser()
    return core50_benchmark(root, scenario, run, size, labels, order, damaged, cache)


def _core50(scenario: str, summary: str) -> Callable[..., CLScenario]:
    """`core50_stream` of one scenario."""
    builder = partial(core50_stream, scenario)
    builder.__doc__ = f"CORe50, {summary}."
    return builder


def online_stream(
    stream: CLStream[Any] | DatasetExperience[Any],
    batch_size: int,
    *,
    seed: int = 0,
    access_task_boundaries: bool = False,
    shuffle: bool = True,
) -> CLStream[Any]:
    """A training stream, or one experience, cut into experiences of `batch_size` images, each seen once.

    The images of an experience are shuffled by `seed`, or stay in order if not `shuffle`. The last sub-experience of
    an experience may be smaller. The `logging().origin_experience` of a sub-experience is the experience that it was
    cut from; plugins can read it in training only with `access_task_boundaries`.
    """
    from avalanche_ssl.streams.online import mini_batch_stream

    return mini_batch_stream(stream, batch_size, seed, access_task_boundaries, shuffle)


BENCHMARKS: dict[str, Callable[..., CLScenario]] = {
    "split-digits": split_digits,
    "rotated-digits": rotated_digits,
    "digits-on-photographs": digits_on_photographs,
    "split-cifar10": split_cifar10,
    "split-cifar100": split_cifar100,
    "tiny-imagenet": split_tiny_imagenet,
    "folder": folder,
    "shards": shards,
    "core50-ni": _core50("ni", "new instances: one session after another, all objects"),
    "core50-nc": _core50("nc", "new classes: ten objects, then five at a time"),
    "core50-nic": _core50("nic", "new instances and classes: ten objects, then five in one session at a time"),
    "core50-nicv2-79": _core50("nicv2-79", "new instances and classes, 79 experiences of about 1,500 frames"),
    "core50-nicv2-196": _core50("nicv2-196", "new instances and classes, 196 experiences of about 600 frames"),
    "core50-nicv2-391": _core50("nicv2-391", "new instances and classes, 391 experiences of about 300 frames"),
}
