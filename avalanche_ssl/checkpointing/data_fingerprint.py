"""The fingerprint of a stream: sizes, class names, labels, and a sample of the contents of its images.

Two streams with one fingerprint are taken for the same, wherever their files lie. The sample is small, so that it
costs next to nothing: it finds images that were exchanged, not a single one among many.
"""

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from avalanche_ssl.data import DataError, make_reader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.rng import seeded

PER_EXPERIENCE = 64
"""Images of the sample from one experience, at most."""

TOTAL = 1024
"""Images of the sample from one stream, at most."""

NAMED = 5
"""Experiences that a message names, at most."""

Fingerprint = dict[str, Any]
"""Plain values; equal for equal streams."""


def stream_fingerprint(
    train_stream: Iterable[Any], test_stream: Iterable[Any] = (), class_names: Sequence[str] | None = None
) -> Fingerprint:
    """The fingerprint of a stream, read as training reads it, with frozen transforms only.

    No random state changes. Labels are compared completely where they are known without loading an image.

    Args:
        train_stream: experiences with a `dataset` each.
        test_stream: the same for testing; none if nothing is tested.
        class_names: their names in the order of the labels.

    Raises:
        UsageError: an image of the sample cannot be read.
    """
    return {
        "class_names": None if class_names is None else [str(name) for name in class_names],
        "train": _experiences(train_stream, "training"),
        "test": _experiences(test_stream, "test"),
    }


def check_same_stream(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a stream that is not that of the checkpoint.

    Raises:
        UsageError: what differs, by name.
    """
    found = []
    if saved["class_names"] != given["class_names"]:
        old, new = (_names(names["class_names"]) for names in (saved, given))
        found.append(f"class names differ from those of the checkpoint (were {old}, are {new})")
    for stream, kind in (("train", ""), ("test", "test ")):
        before, now = saved[stream], given[stream]
        if len(before) != len(now):
            found.append(f"the checkpoint has {len(before)} {kind}experiences, the stream has {len(now)}")
            continue
        for part, name in (("size", "number of "), ("images", ""), ("labels", "labels of ")):
            differing = [i for i, (a, b) in enumerate(zip(before, now, strict=True), 1) if a[part] != b[part]]
            if differing:
                verb = "differs" if part == "size" else "differ"
                found.append(f"the {name}{kind}images of {_numbers(differing)} {verb} from those of the checkpoint")
    if found:
        raise UsageError(
            f"{'; '.join(found)}: give the data that the run was started with, or start again with a new --out"
        )


def _experiences(stream: Iterable[Any], kind: str) -> list[dict[str, Any]]:
    """Size, sample and labels of each experience."""
    datasets = [experience.dataset for experience in stream]
    share = max(1, min(PER_EXPERIENCE, TOTAL // max(1, len(datasets))))
    every = -(-len(datasets) // TOTAL)  # of a stream of very many experiences, some have no part in the sample
    found, unreadable = [], ""
    for number, dataset in enumerate(datasets):
        entry = {"size": len(dataset), "images": "", "labels": ""}
        if number % every == 0 and len(dataset):
            try:
                entry["images"], entry["labels"] = _sample(dataset, share)
            except DataError:
                raise
            except Exception as error:  # a dataset may raise anything without its transforms
                unreadable = unreadable or f"experience {number + 1}: {' '.join(str(error).split())[:200]}"
        found.append(entry)
    if unreadable:
        warnings.warn(
            f"{kind} images cannot be read without the transforms of their dataset ({unreadable}): "
            "a resumed run compares their number only",
            stacklevel=2,
        )
    return found


def _sample(dataset: Any, share: int) -> tuple[str, str]:
    """Hashes of some images and of the labels."""
    images, labels = hashlib.sha256(), hashlib.sha256()
    with seeded(0):
        reader = make_reader(dataset)
    positions = _positions(len(dataset), share)
    for position in positions:
        image, numbers = _item(reader, position)
        images.update(image)
        labels.update(numbers)
    if _item(reader, positions[-1])[0] != image:
        raise ValueError("they differ from reading to reading")
    for known in (reader.y, reader.t):
        labels.update(b"" if known is None else _bytes(known.long()))
    return images.hexdigest()[:16], labels.hexdigest()[:16]


def _item(reader: Any, position: int) -> tuple[bytes, bytes]:
    """An image and its labels."""
    with seeded(0):  # for a dataset that draws from the global random states
        x, y, t = reader.batch(torch.tensor([position]))
    return f"{x.dtype} {tuple(x.shape)}".encode() + _bytes(x), _bytes(y.long()) + _bytes(t.long())


def _positions(n: int, count: int) -> list[int]:
    """Up to `count` positions below `n`, spread at random, the same on every machine."""
    if n <= count:
        return list(range(n))
    numbers = (hashlib.sha256(f"{n} {i}".encode()).digest() for i in range(count))
    return sorted({int.from_bytes(number[:8], "big") % n for number in numbers})


def _bytes(tensor: Tensor) -> bytes:
    flat: Tensor = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return flat.numpy().tobytes()


def _names(names: Sequence[str] | None) -> str:
    return "none" if names is None else _shortened(names)


def _numbers(numbers: Sequence[int]) -> str:
    return f"experience{'s' if len(numbers) > 1 else ''} {_shortened([str(number) for number in numbers])}"


def _shortened(words: Sequence[str]) -> str:
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {more} more" if more > 0 else "")
