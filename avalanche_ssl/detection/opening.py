"""Detection data by their path: PASCAL VOC, COCO, or the embedded scenes."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from avalanche_ssl.detection.coco import is_coco, read_coco
from avalanche_ssl.detection.dataset import DetectionData
from avalanche_ssl.detection.scenes import embedded_scenes
from avalanche_ssl.detection.voc import is_voc, read_voc
from avalanche_ssl.errors import UsageError

NAMED = 5
"""Classes that a message names, at most."""


def open_detection_data(path: str | Path | None = None, seed: int = 0) -> DetectionData:
    """The data in a folder of VOC or COCO, which is recognized; None: the embedded scenes.

    Every file that is named is there, every image has the size that its boxes are in, and no image is both for training
    and testing. Images without an object are kept as negatives; how many there are, and how much of what else, is said
    on the standard error stream. A warning names classes that are only to be found in the test images.

    Args:
        path: the folder, such as `VOCdevkit/VOC2007`.
        seed: of the embedded scenes.

    Raises:
        UsageError: the folder is neither, or what it holds is damaged or cannot be trained or tested on.
    """
    if path is None:
        return embedded_scenes(seed)
    folder = Path(path).expanduser()
    readers = [read for known, read in ((is_voc, read_voc), (is_coco, read_coco)) if known(folder)]
    if len(readers) != 1:
        found = "is both VOC and COCO" if readers else "is no folder of VOC or COCO"
        raise UsageError(
            f"'{path}' {found}: give one with Annotations, JPEGImages and ImageSets/Main (as VOCdevkit/VOC2007), or "
            "one with annotations/instances_*.json beside the folders of images"
        )
    data = readers[0](folder)
    _check(data)
    print(data, file=sys.stderr)
    return data


def _check(data: DetectionData) -> None:
    """Check that the parts can be trained and tested on."""
    train, test = (part.objects_by_class() for part in (data.train, data.test))
    for name, counts in (("train", train), ("test", test)):
        if not sum(counts):
            raise UsageError(f"{data.name}: the images to {name} on have no object: add annotations")
    if shared := set(map(str, data.train.images)) & set(map(str, data.test.images)):
        raise UsageError(
            f"{data.name}: image '{min(shared)}' is to train and to test on ({len(shared):,} in all): "
            "take it out of one of them"
        )
    unknown = [c for c, n, tested in zip(data.train.class_names, train, test, strict=True) if tested and not n]
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        named = ", ".join(f"'{name}'" for name in unknown[:NAMED])
        warnings.warn(f"{data.name}: no object to train on of class {named}{more}, which the test has", stacklevel=3)
