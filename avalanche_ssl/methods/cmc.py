"""CMC (Tian et al. 2020, arXiv:1906.05849): color channels of an image, each with its own encoder, agree."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import info_nce, nce, pair_info_nce, similarity_scores, similarity_scores_in_batch
from avalanche_ssl.memory import MemoryBank, NCENormalizer, content_hash
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views
from avalanche_ssl.models import (
    FEATURE_LAYERS,
    READOUTS,
    EncoderFactory,
    at_encoder_size,
    build_encoder,
    mlp,
    read_features,
)
from avalanche_ssl.transforms import RandomView, check_range, lab_views, sobel, to_float

CHANNELS = {"l": 1, "ab": 2, "edges": 2}
"""Number of channels of each view: lightness of Lab, its two colors, gradients of lightness."""


class CMC(Method):
    """Contrastive multiview coding of Lab color: lightness against color, and optionally edges.

    Every pair of views is contrasted in both directions. With the memory bank, the anchor of one view is compared with
    the bank row of the *other* view of its image and with rows of other images, as in the official code; the bank is
    written after the step. With ``negatives="batch"`` the pair is contrasted within the batch and nothing is stored.

    Args:
        encoder: builds an encoder; called once per view, with its share of the width.
        views: names from `CHANNELS`, at least two; the first is the core view.
        graph: "core" contrasts the first view with each other one, "full" all pairs (paper sec. 3.4).
        negatives: "bank" or "batch".
        objective: "info_nce" (softmax) or "nce" (binary, paper sec. 3.3), with the bank only.
        output_dim: length of an embedding.
        hidden_dim: width of a head's hidden layer, 0 for the paper's linear head.
        head_norm: batch norm at the end of the heads, where the paper has none; a hidden layer always has it. Without
            it the embeddings of a barely trained network point in similar directions, as in `MoCo`.
        temperature: similarities are divided by it.
        capacity: images in the bank; the oldest are replaced first.
        count: K, negatives drawn from the bank per step, shared by the batch.
        bank_momentum: weight of the old row in an update.
        augment: random view of the image before it is split into channels.
    """

    encoder: nn.ModuleDict
    needs_color = True
    feature_layers = FEATURE_LAYERS
    readouts = READOUTS

    def __init__(
        self,
        encoder: EncoderFactory,
        views: tuple[str, ...] = ("l", "ab"),
        graph: Literal["core", "full"] = "full",
        negatives: Literal["bank", "batch"] = "bank",
        objective: Literal["info_nce", "nce"] = "info_nce",
        output_dim: int = 128,
        hidden_dim: int = 0,
        head_norm: bool = False,
        temperature: float = 0.07,
        capacity: int = 65536,
        count: int = 4096,
        bank_momentum: float = 0.5,
        augment: RandomView = RandomView(),
    ) -> None:
        unknown = [v for v in views if v not in CHANNELS]
        if unknown or len(views) < 2 or len(set(views)) < len(views):
            raise ValueError(f"views {views} of CMC: give two or more of {', '.join(CHANNELS)}")
        if objective == "nce" and negatives == "batch":
            raise ValueError("objective 'nce' needs negatives='bank': in the batch give 'info_nce'")
        encoders = {v: build_encoder(encoder, CHANNELS[v], scale=1 / len(views)) for v in views}
        require_positive(output_dim=output_dim, temperature=temperature, count=count, capacity=capacity)
        require_range(0, hidden_dim=hidden_dim)
        require_range(0, 1, bank_momentum=bank_momentum)
        super().__init__(nn.ModuleDict(encoders), augment)
        self.names = tuple(views)
        self.positive_pair = (views[0], views[1])
        self.spaces = tuple((view,) for view in views)
        self.temperature = temperature
        self.count = count
        self.pairs = list(combinations(range(len(views)), 2))
        if graph == "core":
            self.pairs = [pair for pair in self.pairs if pair[0] == 0]
        layers = 2 if hidden_dim else 1
        head = partial(mlp, hidden_dim=hidden_dim, out_features=output_dim, layers=layers, last_norm=head_norm)
        self.heads = nn.ModuleDict({v: head(e.out_features) for v, e in encoders.items()})
        self.bank: MemoryBank | None = None
        if negatives == "bank":
            self.bank = MemoryBank(capacity, len(views), output_dim, momentum=bank_momentum)
        self.nce_normalizer = NCENormalizer(2 * len(self.pairs), temperature) if objective == "nce" else None

    def extract_features(self, x: Tensor) -> Tensor:
        """Features of all views' encoders, concatenated as in the paper's evaluation: (B, sum of widths)."""
        features = (
            read_features(encoder, at_encoder_size(encoder, images), self.feature_layer)
            for encoder, images in self.encoder_inputs(x)
        )
        return torch.cat(list(features), dim=1)

    def project(self, features: Tensor) -> Tensor:
        """Projections (B, V output_dim) of the views' features by their own heads, side by side."""
        if self.feature_layer is not None:
            raise UsageError(f"readout 'projection': CMC has feature_layer '{self.feature_layer}', leave it out")
        encoders: list[Any] = [self.encoder[v] for v in self.names]
        parts = torch.split(features, [encoder.out_features for encoder in encoders], dim=1)
        return torch.cat([self.heads[v](part) for v, part in zip(self.names, parts, strict=True)], dim=1)

    def encoder_inputs(self, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
        """The encoder of each view with the view, of images (B, 3, H, W) at their size."""
        check_range(x)
        views = self._split(to_float(x))
        return [(self.encoder[v], views[v]) for v in self.names]

    def views(self, x: Tensor) -> Views:
        """The color channels of one random view, and the ids of the images if there is a bank."""
        views = self._split(self.augment.rgb(x, self.generator))
        return views | {"ids": content_hash(x)} if self.bank else views

    def embed(self, views: Views) -> Outputs:
        """Unit embeddings (B, output_dim) of each view from its own encoder."""
        outputs = {v: l2_normalize(self.heads[v](self.encoder[v](views[v]))) for v in self.names}
        return outputs | {"ids": views["ids"]} if self.bank else outputs

    def loss(self, outputs: Outputs) -> Tensor:
        """Sum over the pairs of views and both directions."""
        z = [outputs[v] for v in self.names]
        if self.bank:
            losses = [self._objective(scores, number) for number, (*_, scores) in enumerate(self._scores(outputs))]
        else:
            losses = [pair_info_nce(z[i], z[j], self.temperature) for i, j in self.pairs]
        return torch.stack(losses).sum()

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Each pair of views in both directions, against the bank or in the batch, also where the loss is NCE."""
        scores = self._scores(outputs) if self.bank else self._scores_in_batch(outputs)
        return {f"{self.names[i]} to {self.names[j]}": ContrastiveScores(s, self.temperature) for i, j, s in scores}

    def update(self, outputs: Outputs) -> None:
        """Write the embeddings of each view to their rows of the bank."""
        if not self.bank:
            return
        if self.nce_normalizer:
            self.nce_normalizer.update([scores for *_, scores in self._scores(outputs)])
        self.bank.write(outputs["ids"], torch.stack([outputs[v] for v in self.names], dim=1))

    def _scores(self, outputs: Outputs) -> Iterator[tuple[int, int, Tensor]]:
        """Scores of anchors of view i against the bank's rows of view j, in both directions of each pair."""
        assert self.bank
        z = torch.stack([outputs[v] for v in self.names], dim=1)  # (B, V, D)
        keys = self.bank.read(outputs["ids"], z)
        slots, valid = self.bank.sample_negatives(outputs["ids"], self.count, self.generator)
        rows = self.bank.rows[slots]  # (K, V, D)
        for pair in self.pairs:
            for i, j in (pair, pair[::-1]):
                yield i, j, similarity_scores(z[:, i], keys[:, j], rows[:, j], valid)

    def _scores_in_batch(self, outputs: Outputs) -> Iterator[tuple[int, int, Tensor]]:
        for pair in self.pairs:
            for i, j in (pair, pair[::-1]):
                yield i, j, similarity_scores_in_batch(outputs[self.names[i]], outputs[self.names[j]])

    def _objective(self, scores: Tensor, number: int) -> Tensor:
        if self.nce_normalizer:
            return nce(scores, self.temperature, self.nce_normalizer(number, scores))
        return info_nce(scores, self.temperature)

    def _split(self, rgb: Tensor) -> Views:
        lightness, color = lab_views(rgb)
        views = {"l": lightness, "ab": color}
        if "edges" in self.names:
            views["edges"] = sobel(lightness)
        return {v: views[v] for v in self.names}
