"""CPC v1, v2 (van den Oord et al. 2018, arXiv:1807.03748; Henaff et al. 2020, arXiv:1905.09272): predict patches."""

from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.losses import patch_info_nce, patch_scores
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views, check_encoder_size
from avalanche_ssl.models import EncoderFactory, PixelCNN, build_encoder, linear_on_small_maps, pool2x2
from avalanche_ssl.transforms import RandomView, drop_colors, grid

MAX_CANDIDATES = 512
"""Candidates for the bound of the mutual information: all of them would be billions of scores for one number."""


class CPC(Method):
    """Contrastive predictive coding: predict the embeddings of lower rows of patches from the rows above.

    An image is cut into a grid of overlapping patches, each encoded separately to z. A PixelCNN summarizes the rows at
    or above each position as a context c; for each offset k a linear W_k predicts the target k rows below, which
    InfoNCE compares with the targets of all positions of all images. Remembers nothing but its weights.

    The encoder has no batch norm, since patches would see each other through the statistics of the batch, and no
    offset may reach a row that shares pixels with the context. CPC v2: ``directions=4, color_drop=0.5`` and a
    `patch_augment`.

    Args:
        encoder: builds the encoder of a patch.
        norm: of the encoder: "layer" (v2), "group", or "none" (v1).
        patch: height and width of a patch in pixels.
        stride: pixels from one patch to the next.
        offsets: rows from the context to its targets; each at least ceil(patch / stride).
        directions: 1 predicts downwards; 4 also from the other sides, each with its own context network.
        output_dim: length of a target.
        hidden_dim: channels inside a block of the context network.
        blocks: blocks of the context network; each sees one more row above and one more column on both sides.
        scale: factor of the (unnormalized) dot products, the inverse of a temperature.
        count: negative candidates drawn per step; 0 for all positions of all images.
        color_drop: probability that a patch keeps only one of its color channels.
        patch_augment: augmentation of each patch, after that of the image; None for none.
        augment: augmentation of the image before it is cut.

    Raises:
        ValueError: the grid is too small, an offset overlaps the context or leaves the grid, or the encoder has
            batch norm.
    """

    feature_layers = ("global_pool", "pool2x2")  # the map is the grid of patches
    spaces = (("targets",),)
    min_batch_size = 1  # the patches of one image are candidates, too

    def __init__(
        self,
        encoder: EncoderFactory,
        norm: Literal["layer", "group", "none"] = "layer",
        patch: int = 8,
        stride: int = 4,
        offsets: tuple[int, ...] = (2, 3, 4),
        directions: Literal[1, 4] = 1,
        output_dim: int = 64,
        hidden_dim: int = 256,
        blocks: int = 5,
        scale: float = 0.1,
        count: int = 0,
        color_drop: float = 0.0,
        patch_augment: RandomView | None = None,
        augment: RandomView = RandomView(),
    ) -> None:
        _check_grid(augment.size, patch, stride, offsets)
        require_positive(output_dim=output_dim, hidden_dim=hidden_dim, scale=scale)
        require_range(0, blocks=blocks, count=count)
        require_range(0, 1, color_drop=color_drop)
        network = linear_on_small_maps(build_encoder(encoder, norm=norm))
        check_encoder_size(network, patch, "patches", "give an encoder for any size, such as a ResNet")
        if any(isinstance(module, _BatchNorm) for module in network.modules()):
            raise ValueError("the encoder of CPC has batch norm, through which patches see each other: norm='layer'")
        super().__init__(network, augment)
        self.patch, self.stride = patch, stride
        self.offsets = tuple(offsets)
        self.scale = scale
        self.count = count
        self.color_drop = color_drop
        self.patch_augment = patch_augment
        features = network.out_features
        self.target = nn.Conv2d(features, output_dim, 1, bias=False)
        self.contexts = nn.ModuleList(PixelCNN(features, hidden_dim, blocks) for _ in range(directions))
        names = [f"{turn}-{k}" for turn, k in self._predicted()]
        self.predictors = nn.ModuleDict({name: nn.Conv2d(features, output_dim, 1, bias=False) for name in names})

    def extract_features(self, x: Tensor) -> Tensor:
        """Mean features (B, out_features) of the patches, or the grid of them averaged to 2x2."""
        patches = self._encode(grid(self.augment.normalize_only(x), self.patch, self.stride))
        return pool2x2(patches) if self.feature_layer == "pool2x2" else patches.mean((2, 3))

    def views(self, x: Tensor) -> Views:
        """The patches (B, rows, columns, C, patch, patch) of one random view."""
        if self.patch_augment is None:
            cut = grid(self.augment(x, self.generator), self.patch, self.stride)
            patches = cut.flatten(0, 2)
        else:
            cut = grid(self.augment.rgb(x, self.generator), self.patch, self.stride)
            patches = self.patch_augment.of_views(cut.flatten(0, 2), self.generator, self.patch)
        if self.color_drop:
            patches = drop_colors(patches, self.color_drop, self.generator)
        return {"patches": patches.view(cut.shape)}

    def embed(self, views: Views) -> Outputs:
        """Targets (B, output_dim, rows, columns), and the predictions "d-k" for direction d and offset k.

        Direction d is the grid after d quarter turns, so that the targets lie below. Predictions are
        (B, output_dim, rows - k, columns), for the targets of rows k, k + 1, ...
        """
        z = self._encode(views["patches"])
        outputs = {"targets": self.target(z)}
        contexts = [context(z.rot90(turn, (2, 3))) for turn, context in enumerate(self.contexts)]
        for turn, k in self._predicted():
            name = f"{turn}-{k}"
            outputs[name] = self.predictors[name](contexts[turn][:, :, :-k])
        return outputs

    def embeddings(self, outputs: Outputs) -> list[list[Tensor]]:
        """The targets as (B, rows * columns, output_dim), position by position."""
        return [[outputs["targets"].flatten(2).transpose(1, 2)]]

    def loss(self, outputs: Outputs) -> Tensor:
        """InfoNCE, mean over positions, offsets and directions."""
        targets, drawn = outputs["targets"], self._draw(outputs["targets"], self.count)
        losses = [
            patch_info_nce(outputs[f"{turn}-{k}"], targets.rot90(turn, (2, 3)), k, self.scale, drawn)
            for turn, k in self._predicted()
        ]
        return torch.stack(losses).mean()

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """The predictions of all directions for each offset, against at most `MAX_CANDIDATES` other candidates."""
        targets = outputs["targets"]
        drawn = self._draw(targets, min(self.count or MAX_CANDIDATES, MAX_CANDIDATES))
        scores: dict[int, list[Tensor]] = {k: [] for k in self.offsets}
        for turn, k in self._predicted():
            scores[k].append(patch_scores(outputs[f"{turn}-{k}"], targets.rot90(turn, (2, 3)), k, drawn))
        return {
            f"{k} rows on": ContrastiveScores(torch.cat(s), 1 / self.scale, cosine=False) for k, s in scores.items()
        }

    def _encode(self, patches: Tensor) -> Tensor:
        """Features (B, F, rows, columns) of patches (B, rows, columns, C, p, p)."""
        batch, rows, columns = patches.shape[:3]
        features: Tensor = self.encoder(patches.flatten(0, 2))
        return features.view(batch, rows, columns, -1).permute(0, 3, 1, 2)

    def _predicted(self) -> list[tuple[int, int]]:
        """Pairs of quarter turns of the grid and offsets."""
        return [(turn, k) for turn in range(len(self.contexts)) for k in self.offsets]

    def _draw(self, targets: Tensor, count: int) -> Tensor | None:
        """`count` of the B * H * W positions of (B, D, H, W), one from each of `count` equal parts; None for all."""
        total, device = targets.numel() // targets.shape[1], targets.device
        if not 0 < count < total:
            return None
        source = self.generator.device if self.generator else device
        share = torch.rand(count, generator=self.generator, device=source, dtype=torch.float64).to(device)
        return ((torch.arange(count, device=device) + share) * total / count).long().clamp_(max=total - 1)


def _check_grid(size: int, patch: int, stride: int, offsets: tuple[int, ...]) -> None:
    if not 1 <= stride <= patch <= size:
        raise ValueError(f"patch {patch} and stride {stride}: give 1 <= stride <= patch <= {size}, the views' size")
    rows, least = 1 + (size - patch) // stride, ceil(patch / stride)
    if not offsets or len(set(offsets)) < len(offsets) or not all(least <= k < rows for k in offsets):
        overlap = f"nearer rows share pixels with the context, and the grid has {rows} rows"
        raise ValueError(f"offsets {tuple(offsets)}: give different ones from {least} to {rows - 1}; {overlap}")
