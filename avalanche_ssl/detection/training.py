"""Training of a detector on a pre-trained encoder: all of it frozen, some stages, or none."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torchvision.transforms.v2 import ColorJitter

from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.detection.dataset import DetectionDataset
from avalanche_ssl.detection.detector import DETECTORS, Detector
from avalanche_ssl.errors import UsageError, require_positive, require_range, unknown_name
from avalanche_ssl.evaluation import stages_to_freeze
from avalanche_ssl.logging import DetectionEpochEvent
from avalanche_ssl.methods import Method
from avalanche_ssl.optim import LRSchedule
from avalanche_ssl.rng import isolated, seed_all

MAX_GRAD_NORM = 5.0
"""The gradient is clipped: a box that is off by far gives a large one."""
LARGEST_SIDE = 800
"""Shorter side of larger images, as in the papers of all three detectors."""


@dataclass(frozen=True)
class DetectorTraining:
    """Settings of the training of a detector.

    Args:
        detector: a name in `DETECTORS`.
        protocol: "frozen" trains pyramid and heads alone, "first-K" all but the first K stages, "full" everything.
        epochs: passes over the labeled images.
        batch_size: images per step; fewer where there are fewer.
        lr: largest learning rate of Adam; it rises in the first tenth of the steps, and a cosine takes it to zero.
        seed: of pyramid, heads, crops and order.
        device: where to train.
        image_size: shorter side to which images are resized; None: the median of the training images, at most 800.
        flip: mirror training images at random. Not for digits and text, whose mirror image means something else.
        scales: factors of the size of training images, of which one is drawn for each image; one that is given twice is
            drawn twice as often.
        jitter: strength of the color jitter of RGB training images: brightness, contrast and saturation change by up to
            this share, the hue by up to a quarter of it; 0 for none.

    Raises:
        UsageError: a name is not known, or a number is out of its range.
    """

    detector: str = "fcos"
    protocol: str = "full"
    epochs: int = 16
    batch_size: int = 16
    lr: float = 2e-3
    seed: int = 0
    device: str = "cpu"
    image_size: int | None = None
    flip: bool = False
    scales: tuple[float, ...] = (0.75, 1.0, 1.25, 1.0)
    jitter: float = 0.4

    def __post_init__(self) -> None:
        require_positive(epochs=self.epochs, batch_size=self.batch_size, lr=self.lr)
        if self.image_size is not None:
            require_positive(image_size=self.image_size)
        if not self.scales or not all(0 < scale < 100 for scale in self.scales):
            raise UsageError(f"setting 'scales' is {self.scales}: give factors above 0 and below 100, (1.0,) for none")
        require_range(0, 1, jitter=self.jitter)
        if self.detector not in DETECTORS:
            raise unknown_name("detector", self.detector, DETECTORS)
        stages_to_freeze(self.protocol)


def fit_detector(
    method: Method,
    train: DetectionDataset,
    settings: DetectorTraining = DetectorTraining(),
    on_epoch: Callable[[DetectionEpochEvent], None] | None = None,
) -> Detector:
    """Train a detector from a method by Adam; global random states stay as they are.

    Args:
        method: pre-trained or not; a copy of it is trained.
        train: labeled images, in another random order in each epoch, whose last images are left out if they fill no
            batch.
        settings: of the training.
        on_epoch: called after each epoch, with the mean loss.

    Returns:
        The detector, in evaluation mode.

    Raises:
        UsageError: the encoder does not fit the detector, the protocol or the images, or training has diverged.
    """
    order = Generator().manual_seed(settings.seed)
    batch_size = min(settings.batch_size, len(train))
    steps, step, schedule = len(train) // batch_size, 0, LRSchedule(warmup=0.1)
    with isolated():
        seed_all(settings.seed)
        size = settings.image_size or _median_side(train)
        sides = [round(size * scale) for scale in settings.scales]
        detector = Detector(
            method, len(train.class_names), settings.detector, settings.protocol, size, train_sides=sides
        )
        detector.to(settings.device)
        parameters = [p for p in detector.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, settings.lr)
        for epoch in range(settings.epochs):
            detector.train()
            losses = []
            rows: list[int] = torch.randperm(len(train), generator=order).tolist()
            for first in range(0, steps * batch_size, batch_size):
                images, targets = _batch(train, rows[first : first + batch_size], settings)
                loss = torch.stack(list(detector(images, targets).values())).sum()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
                for group in optimizer.param_groups:
                    group["lr"] = settings.lr * schedule.factor(step, settings.epochs * steps)
                optimizer.step()
                step += 1
                losses.append(loss.detach())
            mean_loss = float(torch.stack(losses).mean())
            if not mean_loss < float("inf"):
                raise UsageError(f"the loss of the detector is {mean_loss} in epoch {epoch + 1}: give a lower --lr")
            if on_epoch:
                on_epoch(DetectionEpochEvent(epoch=epoch + 1, loss=mean_loss))
    return detector.eval()


def predict(detector: Detector, dataset: DetectionDataset, batch_size: int = 16) -> list[dict[str, Tensor]]:
    """Boxes (N, 4), labels (N,) and scores (N,) of each image, on the CPU; the detector is not changed."""
    device = next(detector.parameters()).device
    found: list[dict[str, Tensor]] = []
    training = detector.training
    detector.eval()
    try:
        for first in range(0, len(dataset), batch_size):
            rows = range(first, min(first + batch_size, len(dataset)))
            found += detector.predict([dataset[row][0].to(device) for row in rows])
    finally:
        detector.train(training)
    return [{name: value.cpu() for name, value in each.items()} for each in found]


def _batch(data: DetectionDataset, rows: list[int], settings: DetectorTraining) -> tuple[list[Tensor], list[Target]]:
    images, targets = [], []
    for row in rows:
        image, target = data[row]
        if settings.flip and torch.rand(()) < 0.5:
            image, target = _mirrored(image, target)
        if settings.jitter and len(image) == 3:
            image = ColorJitter(*(settings.jitter,) * 3, settings.jitter / 4)(image)
        images.append(image.to(settings.device))
        targets.append(_changed(target, lambda x: x.to(settings.device), lambda x: x.to(settings.device)))
    return images, targets


def _mirrored(image: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Image and boxes, left and right exchanged."""
    width = image.shape[2]

    def mirror(boxes: Tensor) -> Tensor:
        x1, y1, x2, y2 = boxes.unbind(1)
        return torch.stack([width - x2, y1, width - x1, y2], 1)

    return image.flip(2), _changed(target, mirror, lambda labels: labels)


def _changed(target: Target, boxes: Callable[[Tensor], Tensor], labels: Callable[[Tensor], Tensor]) -> Target:
    """The target with a function of its boxes and one of its labels."""
    return {
        "boxes": boxes(target["boxes"]),
        "labels": labels(target["labels"]),
        "ignored_boxes": boxes(target["ignored_boxes"]),
        "ignored_labels": labels(target["ignored_labels"]),
    }


def _median_side(data: DetectionDataset) -> int:
    sides = [min(data[row][0].shape[1:]) for row in range(min(len(data), 100))]
    return min(LARGEST_SIDE, statistics.median_low(sides))
