"""Average precision of boxes, by torchmetrics with the COCO evaluation of pycocotools or faster-coco-eval."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from torch import Tensor

from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.detection.dataset import metric_target
from avalanche_ssl.errors import UsageError

Backend = Literal["pycocotools", "faster_coco_eval"]
"""A package that computes the precision, by the name that is imported."""
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""The first one that is installed is used."""


class AveragePrecision(NamedTuple):
    """Average precision in 0 to 1, mean over classes, as COCO defines it."""

    ap: float
    """Mean over IoU thresholds 0.5, 0.55, ..., 0.95."""
    ap50: float
    """At IoU 0.5."""
    ap75: float
    """At IoU 0.75."""


def find_backend() -> Backend:
    """The package that computes average precision.

    Raises:
        UsageError: there is none, or torchmetrics is missing.
    """
    found = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not found or not importlib.util.find_spec("torchmetrics"):
        missing = "torchmetrics" if found else "pycocotools (or faster-coco-eval)"
        raise UsageError(f'average precision of boxes needs {missing}: pip install "avalanche-ssl[detection]"')
    return found[0]


def average_precision(predictions: Sequence[Mapping[str, Tensor]], targets: Sequence[Target]) -> AveragePrecision:
    """Average precision of the boxes found in images, at most 100 in each; ignored objects count as COCO's crowds.

    Args:
        predictions: of each image: boxes (N, 4) in pixels, labels (N,), scores (N,).
        targets: of each image.

    Raises:
        UsageError: a package is missing, or the images have no object.
    """
    backend = find_backend()
    from torchmetrics.detection import MeanAveragePrecision

    if not any(len(target["labels"]) for target in targets):
        raise UsageError("the test images have no object to find: give images with boxes")
    metric = MeanAveragePrecision(backend=backend)
    metric.warn_on_many_detections = False
    metric.update([dict(each) for each in predictions], [metric_target(target) for target in targets])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = metric.compute()
    return AveragePrecision(*(float(result[name]) for name in ("map", "map_50", "map_75")))
