"""PIRL (Misra & van der Maaten 2020, arXiv:1912.01991): an image and its jigsaw puzzle, or its rotation, agree."""

from dataclasses import replace
from functools import partial
from typing import Literal

from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import info_nce, nce, similarity_scores, softmax_nce
from avalanche_ssl.memory import MemoryBank, NCENormalizer, content_hash
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views, check_encoder_size
from avalanche_ssl.models import EncoderFactory, build_encoder, frozen_buffers, mlp
from avalanche_ssl.transforms import RandomView, jigsaw, normalize, random_turns

ANCHORS = ("transformed", "image")
"""Outputs that are compared with the image's row in the bank: g(v_{I^t}) and f(v_I), eq. 5."""


class PIRL(Method):
    """Pretext-invariant representations: transformed images find their untransformed versions in a memory bank.

    Remembers a bank with one row per image, written with the embedding of the *untransformed* image only. Both the
    transformed and the untransformed image are compared with that row and with rows of other images:
    ``weight * L(bank, transformed) + (1 - weight) * L(bank, image)`` (eq. 5). When an image is seen for the first
    time, its row is its current embedding, without gradient.

    Batch norm: the transformed images have their own forward pass, normalized by their own batch, and leave the
    running statistics alone, which thus remain those of full, upright images as `extract_features` reads them.

    In a short stream negatives from the bank do not help: its rows are as old as an epoch, during which a barely
    trained encoder changes its embedding space, and moving away from where others were does not spread embeddings.
    ``negatives="batch"`` takes the current embeddings of the other images in the batch, which receive a gradient too;
    the positive remains the image's row in the bank, which thus matters to images that return, in later passes or by
    replay.

    Args:
        encoder: builds the encoder.
        pretext: "jigsaw", "rotation", or "both": the puzzle of the rotated image.
        negatives: "bank" (paper), or "batch", see above.
        objective: "info_nce" (softmax); "paper" (exactly eq. 4 and 5: softmax, and the sum over negatives of
            log(1 - h)); or "nce" (binary, with a normalizer Z, as in the authors' code).
        weight: lambda, of the transformed image's term.
        output_dim: length of an embedding, also of a patch before the patches are joined.
        hidden_dim: width of a head's hidden layer, 0 for the paper's linear heads.
        head_norm: batch norm in the heads, also at their end. The paper has none; without it the embeddings of an
            untrained encoder are nearly all the same.
        temperature: similarities are divided by it.
        capacity: images in the bank; the oldest are replaced first.
        count: K, negatives drawn from the bank per step, shared by the batch; unused with ``negatives="batch"``.
        bank_momentum: weight of the old row in an update.
        cells: cells of the puzzle per side.
        cell: height and width of a cell in pixels; the image is resized to ``cells * cell``.
        patch: height and width of a patch in pixels, taken from a random place in its cell.
        augment: random view of the untransformed image.
        transform: random view of the image for the pretext task; the colors of each patch are drawn separately.
    """

    positive_pair = ANCHORS
    spaces = (("image",), ("transformed",))  # each has a head of its own

    def __init__(
        self,
        encoder: EncoderFactory,
        pretext: Literal["jigsaw", "rotation", "both"] = "jigsaw",
        negatives: Literal["bank", "batch"] = "bank",
        objective: Literal["info_nce", "paper", "nce"] = "info_nce",
        weight: float = 0.5,
        output_dim: int = 128,
        hidden_dim: int = 0,
        head_norm: bool = False,
        temperature: float = 0.07,
        capacity: int = 65536,
        count: int = 4096,
        bank_momentum: float = 0.5,
        cells: int = 3,
        cell: int = 11,
        patch: int = 8,
        augment: RandomView = RandomView(),
        transform: RandomView = RandomView(scale=(0.6, 1.0)),
    ) -> None:
        require_positive(output_dim=output_dim, temperature=temperature, count=count)
        require_range(0, 1, weight=weight)
        require_range(0, hidden_dim=hidden_dim)
        if cells < 1 or not 1 <= patch <= cell:
            raise UsageError(f"{cells} cells of {cell} pixels, patch {patch}: give at least 1 cell, and patch <= cell")
        network = build_encoder(encoder)
        if pretext != "rotation":
            check_encoder_size(network, patch, "patches", "give pretext='rotation', or an encoder for any size")
        super().__init__(network, augment)
        self.pretext = pretext
        self.in_batch = negatives == "batch"
        self.objective = objective
        self.weight = weight
        self.temperature = temperature
        self.count = count
        self.cells, self.cell, self.patch = cells, cell, patch
        self.transform = transform
        features = network.out_features
        rotation = pretext == "rotation"
        layers = 2 if hidden_dim else 1
        head = partial(
            mlp, hidden_dim=hidden_dim, out_features=output_dim, layers=layers, norm=head_norm, last_norm=head_norm
        )
        self.projection_head = head(features)
        self.patch_head = nn.Identity() if rotation else nn.Linear(features, output_dim)
        self.transformed_head = head(features if rotation else cells**2 * output_dim)
        self.bank = MemoryBank(capacity, output_dim, momentum=bank_momentum)
        self.nce_normalizer = NCENormalizer(len(ANCHORS), temperature) if objective == "nce" else None

    def views(self, x: Tensor) -> Views:
        """A random view, another one that is transformed, and the ids of the images.

        The transformed view is (B, C, H, W) for rotation, and (B, cells^2, C, patch, patch) for a puzzle.
        """
        transformed = self._rotated(x) if self.pretext == "rotation" else self._puzzle(x)
        return {"image": self.augment(x, self.generator), "transformed": transformed, "ids": content_hash(x)}

    def embed(self, views: Views) -> Outputs:
        """Unit embeddings (B, output_dim) of the image, f(v_I), and of the transformed image, g(v_{I^t})."""
        image = l2_normalize(self.projection_head(self.encoder(views["image"])))
        with frozen_buffers(self.encoder):
            features = self.encoder(views["transformed"].flatten(0, -4))  # patches in their random order
        transformed = l2_normalize(self.transformed_head(self.patch_head(features).view(len(image), -1)))
        return {"image": image, "transformed": transformed, "ids": views["ids"]}

    def loss(self, outputs: Outputs) -> Tensor:
        """The weighted sum of both terms (eq. 5)."""
        transformed, image = (self._objective(s, i) for i, s in enumerate(self._scores(outputs)))
        return self.weight * transformed + (1 - self.weight) * image

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Both anchors against the bank; "image" compares the image with its own past."""
        scores = zip(ANCHORS, self._scores(outputs), strict=True)
        return {f"{name} to bank": ContrastiveScores(s, self.temperature) for name, s in scores}

    def update(self, outputs: Outputs) -> None:
        """Write the embedding of the untransformed image, and nothing of the transformed one."""
        if self.nce_normalizer:
            self.nce_normalizer.update(self._scores(outputs))
        self.bank.write(outputs["ids"], outputs["image"])

    def _puzzle(self, x: Tensor) -> Tensor:
        """Crop to the canvas, cut, and augment the colors of each patch separately."""
        geometry = replace(self.transform, jitter_prob=0.0, gray_prob=0.0, blur_prob=0.0, solarize_prob=0.0)
        canvas = geometry.rgb(x, self.generator, self.cells * self.cell)
        if self.pretext == "both":
            canvas = random_turns(canvas, self.generator)
        patches = jigsaw(canvas, self.cells, self.patch, self.generator)
        color = replace(self.transform, scale=(1.0, 1.0), ratio=(1.0, 1.0), hflip_prob=0.0)
        return color.of_views(patches.flatten(0, 1), self.generator, self.patch).view_as(patches)

    def _rotated(self, x: Tensor) -> Tensor:
        view = random_turns(self.transform.rgb(x, self.generator), self.generator)
        return normalize(view, self.transform.mean, self.transform.std)

    def _scores(self, outputs: Outputs) -> list[Tensor]:
        """Scores of each of `ANCHORS` with the image's row (column 0) and other images: (B, 1 + K) or (B, 1 + B)."""
        key = self.bank.read(outputs["ids"], outputs["image"])
        if self.in_batch:
            other = outputs["ids"][:, None] != outputs["ids"]
            return [similarity_scores(outputs[name], key, outputs["image"], other) for name in ANCHORS]
        slots, valid = self.bank.sample_negatives(outputs["ids"], self.count, self.generator)
        rows = self.bank.rows[slots]  # (K, D)
        return [similarity_scores(outputs[name], key, rows, valid) for name in ANCHORS]

    def _objective(self, scores: Tensor, anchor: int) -> Tensor:
        if self.nce_normalizer:
            return nce(scores, self.temperature, self.nce_normalizer(anchor, scores))
        objective = softmax_nce if self.objective == "paper" else info_nce
        return objective(scores, self.temperature)
