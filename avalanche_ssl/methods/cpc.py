"""CPC v1, v2 (van den Oord et al. 2018, arXiv:1807.03748; Henaff et al. 2020, arXiv:1905.09272): patches foretold."""

from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.losses.contrastive import contrast
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views
from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.transforms.augmentation import RandomView
from avalanche_ssl.transforms.patches import drop_colors, grid

MEASURED = 512
"""Candidates of the mutual information's bound: all would be billions of scores, for one number."""


class CPC(Method):
    """Contrastive predictive coding: from the rows of patches above, foretell the embeddings of rows below.

    An image is cut into a grid of overlapping patches, each encoded alone to z. A PixelCNN sums up the rows at or
    above each position to c; for each offset k a linear W_k foretells the target k rows below, which InfoNCE then
    looks for among the targets of all positions of all images. Remembers nothing beside its weights.

    The encoder has no batch norm, since patches would see each other through the statistics of the batch, and no
    offset may reach a row that shares pixels with the context. CPC v2: ``directions=4, color_drop=0.5`` and a
    `patch_augment`.

    Args:
        encoder: builds the encoder of a patch.
        norm: of the encoder: "layer" (v2), "group", or "none" (v1).
        patch: pixels of a patch a side.
        stride: pixels from a patch to the next.
        offsets: rows from the context to what it foretells; each at least ceil(patch / stride).
        directions: 1 foretells what lies below; 4 also from the other sides, each with its own context network.
        output_dim: length of a target.
        hidden_dim: channels inside a block of the context network.
        blocks: of the context network; each sees one row further up and one column further to both sides.
        scale: of the (un-normalised) dot products, the inverse of a temperature.
        count: candidates drawn a step beside the right one, 0 for all positions of all images.
        color_drop: probability of a patch to keep one of its colour channels only.
        patch_augment: how each patch is changed by itself, after the image was; None: not at all.
        augment: how the image is changed before it is cut.

    Raises:
        ValueError: the grid is too small, an offset overlaps the context or leaves the grid, or the encoder has
            batch norm.
    """

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
        network = encoder(norm=norm)
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
        names = [f"{turn}-{k}" for turn, k in self._foretold()]
        self.predictors = nn.ModuleDict({name: nn.Conv2d(features, output_dim, 1, bias=False) for name in names})

    def extract_features(self, x: Tensor) -> Tensor:
        """Mean of the patches' features, (B, out_features)."""
        return self._encode(grid(self.augment.normalize_only(x), self.patch, self.stride)).mean((2, 3))

    def views(self, x: Tensor) -> Views:
        """The patches (B, rows, columns, C, patch, patch) of one random view."""
        if self.patch_augment is None:
            cut = grid(self.augment(x, self.generator), self.patch, self.stride)
            patches = cut.flatten(0, 2)
        else:
            cut = grid(self.augment.rgb(x, self.generator), self.patch, self.stride)
            patches = self.patch_augment(cut.flatten(0, 2), self.generator, self.patch)
        if self.color_drop:
            patches = drop_colors(patches, self.color_drop, self.generator)
        return {"patches": patches.view(cut.shape)}

    def embed(self, views: Views) -> Outputs:
        """Targets (B, dim, rows, columns), and by direction d and offset k the predictions "d-k".

        Direction d is the grid after d quarter turns, so that what is foretold lies below. Predictions are
        (B, dim, rows - k, columns), for the targets of rows k, k + 1, ...
        """
        z = self._encode(views["patches"])
        outputs = {"targets": self.target(z)}
        contexts = [context(z.rot90(turn, (2, 3))) for turn, context in enumerate(self.contexts)]
        for turn, k in self._foretold():
            name = f"{turn}-{k}"
            outputs[name] = self.predictors[name](contexts[turn][:, :, :-k])
        return outputs

    def loss(self, outputs: Outputs) -> Tensor:
        """InfoNCE, mean over positions, offsets and directions."""
        targets, drawn = outputs["targets"], self._draw(outputs["targets"], self.count)
        losses = [
            patch_info_nce(outputs[f"{turn}-{k}"], targets.rot90(turn, (2, 3)), k, self.scale, drawn)
            for turn, k in self._foretold()
        ]
        return torch.stack(losses).mean()

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """For each offset, the predictions of all directions, against at most `MEASURED` other candidates."""
        targets, drawn = outputs["targets"], self._draw(outputs["targets"], min(self.count or MEASURED, MEASURED))
        scores: dict[int, list[Tensor]] = {k: [] for k in self.offsets}
        for turn, k in self._foretold():
            scores[k].append(patch_scores(outputs[f"{turn}-{k}"], targets.rot90(turn, (2, 3)), k, drawn))
        return {
            f"{k} rows on": ContrastiveScores(torch.cat(s), 1 / self.scale, cosine=False) for k, s in scores.items()
        }

    def _encode(self, patches: Tensor) -> Tensor:
        """Features (B, F, rows, columns) of patches (B, rows, columns, C, p, p)."""
        batch, rows, columns = patches.shape[:3]
        features: Tensor = self.encoder(patches.flatten(0, 2))
        return features.view(batch, rows, columns, -1).permute(0, 3, 1, 2)

    def _foretold(self) -> list[tuple[int, int]]:
        """Quarter turns of the grid, and offsets."""
        return [(turn, k) for turn in range(len(self.contexts)) for k in self.offsets]

    def _draw(self, targets: Tensor, count: int) -> Tensor | None:
        """`count` of the B * H * W positions of (B, D, H, W), one from each of as many equal parts; None for all."""
        total, device = targets.numel() // targets.shape[1], targets.device
        if not 0 < count < total:
            return None
        source = self.generator.device if self.generator else device
        share = torch.rand(count, generator=self.generator, device=source, dtype=torch.float64).to(device)
        return ((torch.arange(count, device=device) + share) * total / count).long().clamp_(max=total - 1)


class PixelCNN(nn.Module):
    """Context of each position of a grid from all columns of the rows at or above it (CPC v2, appendix).

    Args:
        channels: of the grid, and of the context.
        hidden_dim: channels inside a block.
        blocks: residual blocks.
    """

    def __init__(self, channels: int, hidden_dim: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, hidden_dim, 1),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden_dim, hidden_dim, (1, 3), padding=(0, 1)),
                nn.ZeroPad2d((0, 0, 1, 0)),  # a row on top: the next kernel sees its own row and the one above
                nn.Conv2d(hidden_dim, hidden_dim, (2, 1)),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden_dim, channels, 1),
            )
            for _ in range(blocks)
        )

    def forward(self, z: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        for block in self.blocks:
            z = F.relu(z + block(z))
        return z


def patch_scores(predictions: Tensor, targets: Tensor, offset: int, drawn: Tensor | None = None) -> Tensor:
    """Dot products of each prediction with the target `offset` rows below (column 0), and with other positions.

    Args:
        predictions: (B, D, H - offset, W), from the contexts of the upper rows.
        targets: (B, D, H, W), not normalised.
        offset: rows from a context to its target.
        drawn: (K,) long, which of the B * H * W positions to compare with; None for all.

    Returns:
        (B * (H - offset) * W, 1 + K); a prediction's own target scores -inf among the others.
    """
    positions = _positions(targets)
    drawn = positions.flatten() if drawn is None else drawn
    other = drawn != positions[:, offset:].reshape(-1, 1)
    return contrast(_rows(predictions), _rows(targets[:, :, offset:]), _rows(targets)[drawn], other)


def patch_info_nce(
    predictions: Tensor, targets: Tensor, offset: int, scale: float, drawn: Tensor | None = None
) -> Tensor:
    """Find the target `offset` rows below among positions of all images: CPC eq. 4, N = B * H * W or 1 + K.

    Arguments as for `patch_scores`, whose values are multiplied by `scale`. Scalar in nats, mean over predictions.
    """
    if drawn is not None:
        return _drawn_info_nce(predictions, targets, offset, scale, drawn)
    scores = scale * _rows(predictions) @ _rows(targets).T  # (B * (H - offset) * W, B * H * W)
    return F.cross_entropy(scores, _positions(targets)[:, offset:].flatten())


def _drawn_info_nce(predictions: Tensor, targets: Tensor, offset: int, scale: float, drawn: Tensor) -> Tensor:
    """InfoNCE of `patch_scores`, without a pass over all scores for mask, temperature and positives.

    The sum of exponentials over the drawn positions misses the own target, or, if it was drawn, has it already (and
    again where it was drawn twice): that is mended a row at a time.
    """
    queries = scale * _rows(predictions)
    positive = (queries * _rows(targets[:, :, offset:])).sum(1)
    every = torch.logsumexp(queries @ _rows(targets)[drawn].T, dim=1)
    own = _positions(targets)[:, offset:].flatten()
    times = torch.zeros(targets.numel() // targets.shape[1], device=drawn.device)
    times = times.index_add_(0, drawn, torch.ones(len(drawn), device=drawn.device))[own]
    above = positive - every
    missing = torch.where(times == 0, F.softplus(above), torch.log1p((1 - times) * above.clamp(max=0).exp()))
    return (every + missing - positive).mean()


def _positions(grid: Tensor) -> Tensor:
    """Numbers of the positions of (B, D, H, W), (B, H, W)."""
    batch, _, height, width = grid.shape
    return torch.arange(batch * height * width, device=grid.device).view(batch, height, width)


def _rows(grid: Tensor) -> Tensor:
    """(B, D, H, W) as (B * H * W, D)."""
    return grid.movedim(1, 3).reshape(-1, grid.shape[1])


def _check_grid(size: int, patch: int, stride: int, offsets: tuple[int, ...]) -> None:
    if not 1 <= stride <= patch <= size:
        raise ValueError(f"patch {patch} and stride {stride}: give 1 <= stride <= patch <= {size}, the views' size")
    rows, least = 1 + (size - patch) // stride, ceil(patch / stride)
    if not offsets or len(set(offsets)) < len(offsets) or not all(least <= k < rows for k in offsets):
        overlap = f"rows nearer than {least} share pixels with the context, and the grid has {rows} rows"
        raise ValueError(f"offsets {tuple(offsets)}: give different ones from {least} to {rows - 1}; {overlap}")
