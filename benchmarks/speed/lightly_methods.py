"""Methods built from lightly's parts: modules that turn a list of two views into the loss of a step."""

from __future__ import annotations

import copy
from typing import Any

import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss, SwaVLoss
from lightly.models.modules import (
    BYOLPredictionHead,
    BYOLProjectionHead,
    MoCoProjectionHead,
    SimCLRProjectionHead,
    SwaVProjectionHead,
    SwaVPrototypes,
)
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms import MoCoV2Transform, SimCLRTransform, SwaVTransform
from lightly.transforms.byol_transform import BYOLTransform, BYOLView1Transform, BYOLView2Transform
from torch import Tensor, nn


class MoCo(nn.Module):
    """MoCo v2 with a queue of 4,096 keys."""

    def __init__(self, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, MoCoProjectionHead(features, features, 128)
        self.momentum_backbone, self.momentum_head = copy.deepcopy(backbone), copy.deepcopy(self.head)
        deactivate_requires_grad(self.momentum_backbone)
        deactivate_requires_grad(self.momentum_head)
        self.criterion = NTXentLoss(temperature=0.1, memory_bank_size=(4096, 128))

    def forward(self, views: list[Tensor]) -> Any:
        """The loss."""
        update_momentum(self.backbone, self.momentum_backbone, m=0.99)
        update_momentum(self.head, self.momentum_head, m=0.99)
        query = self.head(self.backbone(views[0]))
        with torch.no_grad():
            key = self.momentum_head(self.momentum_backbone(views[1]))
        return self.criterion(query, key)


class SimCLR(nn.Module):
    """SimCLR."""

    def __init__(self, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, SimCLRProjectionHead(features, features, 128)
        self.criterion = NTXentLoss(temperature=0.5)

    def forward(self, views: list[Tensor]) -> Any:
        """The loss."""
        return self.criterion(*(self.head(self.backbone(view)) for view in views))


class BYOL(nn.Module):
    """BYOL."""

    def __init__(self, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, BYOLProjectionHead(features, 512, 256)
        self.predictor = BYOLPredictionHead(256, 512, 256)
        self.momentum_backbone, self.momentum_head = copy.deepcopy(backbone), copy.deepcopy(self.head)
        deactivate_requires_grad(self.momentum_backbone)
        deactivate_requires_grad(self.momentum_head)
        self.criterion = NegativeCosineSimilarity()

    def forward(self, views: list[Tensor]) -> Any:
        """The loss, over both directions."""
        update_momentum(self.backbone, self.momentum_backbone, m=0.99)
        update_momentum(self.head, self.momentum_head, m=0.99)
        first, second = (self.predictor(self.head(self.backbone(view))) for view in views)
        with torch.no_grad():
            target, target2 = (self.momentum_head(self.momentum_backbone(view)) for view in views)
        return (self.criterion(first, target2) + self.criterion(second, target)) / 2


class SwAV(nn.Module):
    """SwAV with two crops and 128 prototypes."""

    def __init__(self, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, SwaVProjectionHead(features, features, 128)
        self.prototypes = SwaVPrototypes(128, n_prototypes=128)
        self.criterion = SwaVLoss()

    def forward(self, views: list[Tensor]) -> Any:
        """The loss."""
        self.prototypes.normalize()
        rows = [nn.functional.normalize(self.head(self.backbone(view))) for view in views]
        return self.criterion([self.prototypes(row) for row in rows], [])


def _byol_views(size: int) -> BYOLTransform:
    shared = {"input_size": size, "min_scale": 0.2, "cj_sat": 0.4, "gaussian_blur": 0.0}
    return BYOLTransform(BYOLView1Transform(**shared), BYOLView2Transform(**shared, solarization_prob=0.2))


def _swav_views(size: int) -> SwaVTransform:
    crops = {"crop_sizes": (size, size), "crop_counts": (2, 0), "crop_min_scales": (0.2, 0.2)}
    return SwaVTransform(**crops, crop_max_scales=(1.0, 1.0), cj_strength=0.5, gaussian_blur=0.0)


MODELS: dict[str, tuple[Any, Any]] = {
    "moco": (MoCo, lambda size: MoCoV2Transform(input_size=size, gaussian_blur=0.0)),
    "simclr": (
        SimCLR,
        lambda size: SimCLRTransform(input_size=size, min_scale=0.2, cj_strength=0.5, gaussian_blur=0.0),
    ),
    "byol": (BYOL, _byol_views),
    "swav": (SwAV, _swav_views),
}
"""Model (called with encoder and feature dimension) and transform (called with the size of a view) by strategy."""
