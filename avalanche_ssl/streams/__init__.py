"""Streams of raw images as Avalanche benchmarks, by name.

Every builder returns an Avalanche benchmark of raw images: items are uint8 tensors (C, H, W) with their
label and task label, because views are made on the device. Experience j of `test_stream` holds the test
images of experience j of `train_stream`. Labels are the original class numbers, `benchmark.class_names`
their names or None.

Streams of images with classes can be made in several ways; their options `incremental`, `imbalance`, `leak`, `repeats`,
`seed` and `class_order` are those of `avalanche_ssl.streams.splits.IncrementalSplit`.

Torch and Avalanche are imported when a builder is called, so that a command line can list the names at once.
"""

from avalanche_ssl.streams.builders import (
    BENCHMARKS,
    core50_stream,
    digits_domain,
    folder,
    online_stream,
    split_cifar10,
    split_cifar100,
    split_digits,
    split_tiny_imagenet,
)

__all__ = [
    "BENCHMARKS",
    "core50_stream",
    "digits_domain",
    "folder",
    "online_stream",
    "split_cifar10",
    "split_cifar100",
    "split_digits",
    "split_tiny_imagenet",
]
