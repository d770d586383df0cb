"""Streams of raw images as Avalanche benchmarks, by name.

Every builder returns an Avalanche benchmark of raw images: items are uint8 tensors (C, H, W) with their label and task
label, because views are made on the device. Experience j of `test_stream` holds the test images of experience j of
`train_stream`. Labels are the original class numbers, `benchmark.class_names` their names or None.

Torch and Avalanche are imported when a builder is called, and other names when first used, so that a command line can
list the streams at once.
"""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names
from avalanche_ssl.streams.builders import (
    BENCHMARKS,
    core50_stream,
    digits_on_photographs,
    folder,
    online_stream,
    rotated_digits,
    shards,
    split_cifar10,
    split_cifar100,
    split_digits,
    split_tiny_imagenet,
)
from avalanche_ssl.streams.splits import REGIMES, IncrementalSplit, SplitOptions, with_split_options

if TYPE_CHECKING:
    from avalanche_ssl.streams.benchmark import benchmark_from_parts as benchmark_from_parts
    from avalanche_ssl.streams.classes import ClassIndex as ClassIndex
    from avalanche_ssl.streams.classes import class_index as class_index
    from avalanche_ssl.streams.classes import has_labels as has_labels
    from avalanche_ssl.streams.digit_images import DIMMED as DIMMED
    from avalanche_ssl.streams.digit_images import bright_colors as bright_colors
    from avalanche_ssl.streams.digit_images import digit_masks as digit_masks
    from avalanche_ssl.streams.digit_images import is_test_digit as is_test_digit
    from avalanche_ssl.streams.digit_images import photographs as photographs
    from avalanche_ssl.streams.folder_layout import find_files as find_files
    from avalanche_ssl.streams.regimes import cumulative_stream as cumulative_stream
    from avalanche_ssl.streams.regimes import experience_sizes as experience_sizes
    from avalanche_ssl.streams.regimes import joint_experience as joint_experience
    from avalanche_ssl.streams.regimes import joint_stream as joint_stream
    from avalanche_ssl.streams.regimes import training_stream as training_stream
    from avalanche_ssl.streams.tasks import Codes as Codes
    from avalanche_ssl.streams.tasks import ProbingTask as ProbingTask
    from avalanche_ssl.streams.validation import validation_stream as validation_stream

__all__ = [
    "BENCHMARKS",
    "DIMMED",
    "REGIMES",
    "ClassIndex",
    "Codes",
    "IncrementalSplit",
    "ProbingTask",
    "SplitOptions",
    "benchmark_from_parts",
    "bright_colors",
    "class_index",
    "core50_stream",
    "cumulative_stream",
    "digit_masks",
    "digits_on_photographs",
    "experience_sizes",
    "find_files",
    "folder",
    "has_labels",
    "is_test_digit",
    "joint_experience",
    "joint_stream",
    "online_stream",
    "photographs",
    "rotated_digits",
    "shards",
    "split_cifar10",
    "split_cifar100",
    "split_digits",
    "split_tiny_imagenet",
    "training_stream",
    "validation_stream",
    "with_split_options",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ClassIndex": "classes",
        "Codes": "tasks",
        "ProbingTask": "tasks",
        "benchmark_from_parts": "benchmark",
        "DIMMED": "digit_images",
        "bright_colors": "digit_images",
        "digit_masks": "digit_images",
        "is_test_digit": "digit_images",
        "photographs": "digit_images",
        "class_index": "classes",
        "find_files": "folder_layout",
        "has_labels": "classes",
        "cumulative_stream": "regimes",
        "joint_experience": "regimes",
        "joint_stream": "regimes",
        "experience_sizes": "regimes",
        "training_stream": "regimes",
        "validation_stream": "validation",
    },
)
