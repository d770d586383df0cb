"""Which streams of images can be learnt from?

Every builder returns an Avalanche benchmark of raw images: items are uint8 tensors (C, H, W) with their
label and task label, because views are made on the device. Experience j of `test_stream` holds the test
images of experience j of `train_stream`. Labels are the original class numbers, `benchmark.class_names`
their names or None.

Streams of images with classes can be made in several ways; their options `incremental`, `imbalance`, `leak`, `repeats`,
`seed` and `class_order` are those of `avalanche_ssl.streams.increments.Increments`.

Torch and Avalanche are imported when a builder is called, so that a command line can list the names at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avalanche.benchmarks import CLScenario, CLStream, DatasetExperience

__all__ = [
    "BENCHMARKS",
    "digits_domain",
    "folder",
    "online",
    "split_cifar10",
    "split_cifar100",
    "split_digits",
    "tiny_imagenet",
]


def split_digits(
    experiences: int = 5,
    *,
    incremental: str = "class",
    imbalance: float = 1.0,
    leak: float = 0.1,
    repeats: int = 2,
    seed: int = 0,
    composites: int = 8,
) -> CLScenario:
    """Handwritten digits in colour on photographs, 10 classes, 32x32; nothing to download.

    scikit-learn's 1,797 digits, each drawn `composites` times for training (half as often for testing) over
    its two photographs, in the spirit of MNIST-M (Ganin & Lempitsky 2015, arXiv:1409.7495). A third of the
    digits, the same whatever the seed, is for testing. `seed` draws the composites and the order of the
    classes.
    """
    from avalanche_ssl.streams.digits import by_class
    from avalanche_ssl.streams.increments import Increments

    return by_class(composites, Increments(experiences, incremental, imbalance, leak, repeats, seed))


def digits_domain(experiences: int = 2, *, seed: int = 0, composites: int = 8) -> CLScenario:
    """The same digits, all classes at once; one experience for each of the two photographs.

    Both experiences draw the same digits; of the options of `split_digits`, only `experiences` cannot change.
    """
    from avalanche_ssl.streams.digits import by_photograph

    return by_photograph(experiences, seed, composites)


def split_cifar10(
    experiences: int = 5,
    *,
    data: str | Path | None = None,
    incremental: str = "class",
    imbalance: float = 1.0,
    leak: float = 0.1,
    repeats: int = 2,
    seed: int = 0,
    class_order: Sequence[int] | None = None,
) -> CLScenario:
    """CIFAR-10 in parts of different classes, 32x32; downloaded when absent.

    `data` is the folder that holds, or shall hold, `cifar-10-batches-py`: by default Avalanche's. `seed`
    draws the order of the classes unless `class_order` gives it.
    """
    from avalanche_ssl.streams.cifar import build
    from avalanche_ssl.streams.increments import Increments

    increments = Increments(experiences, incremental, imbalance, leak, repeats, seed, class_order)
    return build("CIFAR10", data, increments)


def split_cifar100(
    experiences: int = 10,
    *,
    data: str | Path | None = None,
    incremental: str = "class",
    imbalance: float = 1.0,
    leak: float = 0.1,
    repeats: int = 2,
    seed: int = 0,
    class_order: Sequence[int] | None = None,
) -> CLScenario:
    """CIFAR-100 in parts of different classes, 32x32; downloaded when absent.

    Options as for `split_cifar10`; the folder inside `data` is `cifar-100-python`.
    """
    from avalanche_ssl.streams.cifar import build
    from avalanche_ssl.streams.increments import Increments

    increments = Increments(experiences, incremental, imbalance, leak, repeats, seed, class_order)
    return build("CIFAR100", data, increments)


def tiny_imagenet(
    data: str | Path,
    *,
    experiences: int = 10,
    size: int = 64,
    incremental: str = "class",
    imbalance: float = 1.0,
    leak: float = 0.1,
    repeats: int = 2,
    seed: int = 0,
    class_order: Sequence[int] | None = None,
) -> CLScenario:
    """Tiny ImageNet in parts of different classes, 64x64, from its folder as it is distributed.

    `data` is the folder `tiny-imagenet-200`, or the one it lies in. Classes are numbered as in `wnids.txt` and named
    as in `words.txt`; the validation images are the test images.
    """
    from avalanche_ssl.streams.increments import Increments
    from avalanche_ssl.streams.tiny import build

    increments = Increments(experiences, incremental, imbalance, leak, repeats, seed, class_order)
    return build(Path(data), size, increments)


def folder(
    data: str | Path,
    *,
    experiences: int = 10,
    size: int = 32,
    incremental: str = "class",
    imbalance: float = 1.0,
    leak: float = 0.1,
    repeats: int = 2,
    seed: int = 0,
    class_order: Sequence[int] | None = None,
) -> CLScenario:
    """Your own images: train/CLASS/* and test/CLASS/*, or train/* without labels.

    Images are decoded once, resized to `size` (shorter side, then the centre) and kept in memory. Without labels only
    `incremental` "data" is possible, every label is -1, and `test` may be absent: then `test_stream` is empty.
    Classes are numbered in alphabetical order.
    """
    from avalanche_ssl.streams.image_folder import build
    from avalanche_ssl.streams.increments import Increments

    increments = Increments(experiences, incremental, imbalance, leak, repeats, seed, class_order)
    return build(Path(data), size, increments)


def online(
    stream: CLStream[Any] | DatasetExperience[Any],
    batch_size: int,
    *,
    seed: int = 0,
    access_task_boundaries: bool = False,
) -> CLStream[Any]:
    """Cut a training stream, or one experience, into experiences of `batch_size` images, each seen once.

    The images of an experience are shuffled by `seed`. Of a sub-experience, `logging().origin_experience`
    is the experience that it came from; plugins read it in training only if `access_task_boundaries`. The
    last one is smaller if need be.
    """
    from avalanche_ssl.streams.single_pass import cut

    return cut(stream, batch_size, seed, access_task_boundaries)


BENCHMARKS: dict[str, Callable[..., CLScenario]] = {
    "split-digits": split_digits,
    "digits-domain": digits_domain,
    "split-cifar10": split_cifar10,
    "split-cifar100": split_cifar100,
    "tiny-imagenet": tiny_imagenet,
    "folder": folder,
}
