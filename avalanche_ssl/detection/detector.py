"""torchvision's detectors, FCOS, RetinaNet and Faster R-CNN, on the encoder of a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import MultiScaleRoIAlign

from avalanche_ssl.data import as_rgb
from avalanche_ssl.detection.backbone import PyramidBackbone
from avalanche_ssl.detection.boxes import Target
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.evaluation import frozen_parts
from avalanche_ssl.methods import Method, channels_of

RATIOS = (0.5, 1.0, 2.0)
"""Height to width of anchors."""
SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""Sizes of RetinaNet's anchors at one place, as factors."""
ANCHOR = 4
"""Side of the smallest anchor of a map in its strides: 32 pixels at stride 8, as in RetinaNet's paper."""
MIN_SCORE = 0.05
"""Boxes with a lower score are not given, as in the papers."""


class Detector(nn.Module):
    """A detector of torchvision on the encoder of a method: losses in training, boxes in evaluation.

    Images are resized so that their shorter side is `side`, normalized as the method does, and padded in black to one
    size per batch. Frozen parts stay in evaluation mode, so that their batch-norm statistics do not move either.

    Args:
        method: pre-trained or not, which is copied.
        n_classes: labels are below it.
        kind: a name in `DETECTORS`.
        protocol: "frozen", "first-K" or "full", see `avalanche_ssl.evaluation.FineTuning`.
        side: shorter side of images in pixels.
        train_sides: sides of which one is drawn for each image in training; (): `side`.
        channels: of the pyramid and the heads; a multiple of 32, the groups of the heads' norm.

    Raises:
        UsageError: a name is not known, the encoder gives no feature pyramid, or has fewer than K stages.
    """

    def __init__(
        self,
        method: Method,
        n_classes: int,
        kind: str = "fcos",
        protocol: str = "full",
        side: int = 96,
        channels: int = 64,
        train_sides: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if kind not in DETECTORS:
            raise unknown_name("detector", kind, DETECTORS)
        self.sides = {True: tuple(train_sides) or (side,), False: (side,)}
        """Shorter sides of images, of which one is drawn, by whether it is in training mode."""
        backbone = PyramidBackbone(method, channels, side)
        self.frozen = frozen_parts(backbone.method.encoder, protocol)
        for module in self.frozen:
            module.requires_grad_(False)
        self.in_channels = channels_of(backbone.method)
        self.first_label = 1 if kind == "faster-rcnn" else 0  # there 0 is the background
        resize = {
            "min_size": self.sides[True],
            "max_size": round(max(*self.sides[True], side) * 1333 / 800),  # the ratio of the papers
            "size_divisible": backbone.strides[-1],
        }
        normalize = {"image_mean": [0.0] * (self.in_channels or 3), "image_std": [1.0] * (self.in_channels or 3)}
        self.model = DETECTORS[kind](backbone, n_classes, resize | normalize)

    def train(self, mode: bool = True) -> Detector:
        """Set the mode, as `nn.Module.train`, of all but the frozen parts."""
        super().train(mode)
        self.model.transform.min_size = self.sides[mode]  # type: ignore[union-attr]
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses by name, in training mode, of images uint8 (C, H, W); ignored boxes are left out."""
        wanted = [{"boxes": t["boxes"], "labels": t["labels"] + self.first_label} for t in targets]
        losses: dict[str, Tensor] = self.model(self._floats(images), wanted)
        return losses

    @torch.no_grad()
    def predict(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Boxes (N, 4) in pixels, labels (N,) and scores (N,) of each image, best first, in evaluation mode."""
        found: list[dict[str, Tensor]] = self.model(self._floats(images))
        return [each | {"labels": each["labels"] - self.first_label} for each in found]

    def _floats(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Images in [0, 1] with the channels of the encoder."""
        wanted = self.in_channels
        rows = [as_rgb(x) if wanted == 3 else x for x in images]
        for x in rows:
            if wanted is not None and len(x) != wanted:
                raise UsageError(
                    f"the images have {len(x)} channels, the encoder takes {wanted}: give a run on images like these"
                )
        return [x / 255 for x in rows]


def _anchors(backbone: PyramidBackbone, scales: Sequence[float] = (1.0,)) -> AnchorGenerator:
    sizes = tuple(tuple(round(ANCHOR * stride * scale) for scale in scales) for stride in backbone.strides)
    return AnchorGenerator(sizes, (RATIOS,) * len(sizes))


def _fcos(backbone: PyramidBackbone, n_classes: int, images: dict[str, Any]) -> nn.Module:
    """FCOS (Tian et al. 2019, arXiv:1904.01355), whose places have no anchors but the size of a stride."""
    places = AnchorGenerator(tuple((stride,) for stride in backbone.strides), ((1.0,),) * len(backbone.strides))
    head = FCOSHead(backbone.out_channels, 1, n_classes, num_convs=2)
    model: nn.Module = FCOS(backbone, n_classes, anchor_generator=places, head=head, score_thresh=MIN_SCORE, **images)
    return model


def _retinanet(backbone: PyramidBackbone, n_classes: int, images: dict[str, Any]) -> nn.Module:
    """RetinaNet (Lin et al. 2017, arXiv:1708.02002), its heads with group norm as in torchvision's second recipe."""
    anchors, norm = _anchors(backbone, SCALES), partial(nn.GroupNorm, 32)
    model: nn.Module = RetinaNet(
        backbone,
        n_classes,
        anchor_generator=anchors,
        head=RetinaNetHead(backbone.out_channels, len(RATIOS) * len(SCALES), n_classes, norm),
        score_thresh=MIN_SCORE,
        detections_per_img=100,
        **images,
    )
    return model


def _faster_rcnn(backbone: PyramidBackbone, n_classes: int, images: dict[str, Any]) -> nn.Module:
    """Faster R-CNN (Ren et al. 2015, arXiv:1506.01497) with a feature pyramid."""
    hidden = 4 * backbone.out_channels  # 1024 of 256 in the paper
    pool = MultiScaleRoIAlign([str(i) for i in range(len(backbone.strides))], output_size=7, sampling_ratio=2)
    model: nn.Module = FasterRCNN(
        backbone,
        rpn_anchor_generator=_anchors(backbone),
        box_roi_pool=pool,
        box_head=TwoMLPHead(backbone.out_channels * 7**2, hidden),
        box_predictor=FastRCNNPredictor(hidden, n_classes + 1),
        box_score_thresh=MIN_SCORE,
        **images,
    )
    return model


DETECTORS: dict[str, Callable[[PyramidBackbone, int, dict[str, Any]], nn.Module]] = {
    "fcos": _fcos,
    "retinanet": _retinanet,
    "faster-rcnn": _faster_rcnn,
}
"""Builders of detectors by name."""
