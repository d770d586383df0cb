"""`Method`: the contract of every self-supervised method.

Three rules make "state persists across experiences" true by construction:

1. Everything a method remembers is a parameter or a persistent buffer, registered in ``__init__`` with its
   final shape; counters are 0-d long tensors. So ``state_dict()`` is the whole memory.
2. ``views``, ``embed`` and ``loss`` write nothing (batch-norm statistics aside); ``update`` is the only writer.
3. Something may be non-persistent only if ``prepare`` recomputes it.

`avalanche_ssl.checks.check_method` checks them for any method, of this package or your own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.models import FEATURE_LAYERS, READOUTS, StageMaps, at_encoder_size, read_features
from avalanche_ssl.transforms import RandomView

Views = dict[str, Tensor]
"""Named random views of a batch; row i of every tensor belongs to image i."""

Outputs = dict[str, Tensor]
"""Named embeddings and other inputs of the loss; row i of every tensor belongs to image i."""


Family = Literal["contrastive", "decorrelative", "predictive", "mse", "knowledge"]
"""How two embeddings of one space are compared, see `avalanche_ssl.plugins.likeness`."""


class ContrastiveScores(NamedTuple):
    """Scores of InfoNCE's candidates, see `Method.contrastive_scores`."""

    scores: Tensor
    """(B, N), the positive in column 0; -inf marks no candidate."""
    temperature: float
    """Divisor of the scores."""
    cosine: bool = True
    """Whether the scores are cosines, in [-1, 1]."""


class ClusterAssignment(NamedTuple):
    """Clusters or prototypes of images, see `Method.cluster_assignments`."""

    labels: Tensor
    """(B, H) long, the cluster in each of H clusterings."""
    clusters: int
    """K, number of clusters in a clustering."""


def check_encoder_size(encoder: nn.Module, side: int, images: str, remedy: str) -> None:
    """Refuse an encoder that takes images of one size only, and not those of `side` pixels that a method shows it.

    Raises:
        UsageError: names the images, both sizes and the remedy.
    """
    size: tuple[int, int] | None = getattr(encoder, "image_size", None)
    if size is not None and size != (side, side):
        raise UsageError(
            f"the encoder takes images of {size[0]}x{size[1]} only, and {images} are {side}x{side}: {remedy}"
        )


class Method(nn.Module):
    """Base class of methods: an encoder, heads, and everything the method must remember.

    Subclasses define `views`, `embed`, `loss` and, if they remember anything, `update`. Images are raw: uint8
    (B, C, H, W), or float in [0, 1].

    Args:
        encoder: the network that is trained and probed; (B, C, H, W) to (B, out_features).
        augment: random view; its `normalize_only` is the deterministic view of `extract_features`.
    """

    generator: torch.Generator | None = None
    """Source of randomness of views and sampling, set by the strategy. None: torch's global one."""

    num_classes_read: int = 0
    """Number n of classes whose labels `loss` reads, as ``outputs["labels"]`` (B,) in 0, ..., n - 1, added by the
    strategy. 0: no labels, as in every method but the supervised reference."""

    needs_color: bool = False
    """Whether the method works on RGB only, as one that splits colors; others take any number of channels."""

    min_batch_size: int = 2
    """Images that a step takes at least: two, where they are contrasted or normalized by the statistics of a batch."""

    n_new: int | None = None
    """Number of images at the start of the batch that are new to `update`; None: all. The strategy excludes replayed
    images, and those of a mini-batch that is repeated in the next step."""

    online_defaults: Mapping[str, Any] = {}
    """Settings for a stream of mini-batches without boundaries, each seen once, which an online run sets."""

    requires_full_experience: bool = False
    """Whether `prepare` needs a full experience, so that mini-batches without boundaries do not suffice."""

    positive_pair: tuple[str, str] | None = None
    """Names of two outputs whose rows should agree, to monitor alignment and collapse. None: there are none."""

    spaces: tuple[tuple[str, ...], ...] = ()
    """Names of the outputs that carry the gradient, grouped by the space they lie in: what continual plugins distill
    and align. Two views of one head share a space. (): nothing that could be kept."""

    family: Family = "contrastive"
    """How two embeddings of one space are compared."""

    feature_layer: str | None = None
    """The layer that `extract_features` gives, of `avalanche_ssl.models.FEATURE_LAYERS`; None: the encoder's output."""

    feature_layers: tuple[str, ...] = FEATURE_LAYERS
    """Layers that `extract_features` knows. A class with an `extract_features` of its own declares those it gives."""

    readouts: tuple[str, ...] = READOUTS
    """What `read_out` gives beside the features; declared as `feature_layers` are."""

    def __init__(self, encoder: nn.Module, augment: RandomView) -> None:
        super().__init__()
        self.encoder = encoder
        self.augment = augment

    def check_batch_size(self, size: int) -> None:
        """Refuse batches that are too small to learn from.

        Raises:
            UsageError: names the smallest size.
        """
        if size < self.min_batch_size:
            raise UsageError(
                f"batch_size is {size}: {type(self).__name__} compares the images of a batch, give it "
                f"{self.min_batch_size} or more"
            )

    def choose_features(self, layer: str | None) -> None:
        """Let `extract_features` give another layer of the encoder; training stays the same.

        Raises:
            UsageError: the method's `extract_features` does not give it.
        """
        known = self._declared("feature_layers")
        if layer is not None and layer not in known:
            raise unknown_name(f"feature layer of {type(self).__name__}", layer, [*known, "null"])
        self.feature_layer = layer

    def _declared(self, attribute: str) -> tuple[str, ...]:
        """Names that the class declares; none where its `extract_features` was written without a choice of them."""
        for kind in type(self).__mro__:
            if attribute in vars(kind):
                names: tuple[str, ...] = vars(kind)[attribute]
                return names
            if "extract_features" in vars(kind):
                break
        return ()

    def extract_features(self, x: Tensor) -> Tensor:
        """Features (B, D) of raw images (B, C, H, W), for probes; no random views, nothing remembered.

        Images keep their size, or are resized to that of an encoder which takes one size only.
        """
        images = at_encoder_size(self.encoder, self.augment.normalize_only(x))
        return read_features(self.encoder, images, self.feature_layer)

    def read_out(self, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Features (B, D) by readout of raw images (B, C, H, W), from one pass; "" is that of `extract_features`.

        Raises:
            UsageError: the method or its encoder has no such readout.
        """
        known = self._declared("readouts")
        for name in filter(None, names):
            if not known:
                raise UsageError(f"readout '{name}': {type(self).__name__} has none but its features, leave it out")
            if name not in known:
                raise unknown_name(f"readout of {type(self).__name__}", name, known)
        encoders = self.encoder.values() if isinstance(self.encoder, nn.ModuleDict) else [self.encoder]
        with StageMaps(encoders) as maps:
            features = self.extract_features(x)
        found = {"": features}
        for name in filter(None, names):
            found[name] = self.project(features) if name == "projection" else maps.read_out(name)
        return {name: found[name] for name in names}

    def project(self, features: Tensor) -> Tensor:
        """What the projection head makes of features (B, D) of `extract_features`, before it is normalized.

        Raises:
            UsageError: there is no head, or the features are of another layer than it takes.
        """
        head: nn.Module | None = getattr(self, "projection_head", None)
        if head is None or self.feature_layer is not None:
            reason = "no projection_head" if head is None else f"feature_layer '{self.feature_layer}'"
            raise UsageError(f"readout 'projection': {type(self).__name__} has {reason}, leave it out")
        projected: Tensor = head(features)
        return projected

    def encoder_inputs(self, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
        """Each encoder that features come from, with what it gets of raw images (B, C, H, W) at their size.

        Detectors read the maps of these encoders.
        """
        return [(self.encoder, self.augment.normalize_only(x))]

    def views(self, x: Tensor) -> Views:
        """Random views of raw images (B, C, H, W), as named tensors with B rows."""
        raise NotImplementedError(f"{type(self).__name__} must define views(x)")

    def embed(self, views: Views) -> Outputs:
        """Embeddings of the views, as named tensors with B rows."""
        raise NotImplementedError(f"{type(self).__name__} must define embed(views)")

    def forward(self, x: Tensor, views: Views | None = None) -> Outputs:
        """Embeddings of raw images (B, C, H, W), as data parallelism and Avalanche's EWC, AGEM, ... call it.

        Args:
            x: the images.
            views: their views, see `random_views`; None draws them.
        """
        return self.embed(self.random_views(x) if views is None else views)

    def random_views(self, x: Tensor) -> Views:
        """`views(x)` as in training: without gradient, in full precision."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            return self.views(x)

    def loss(self, outputs: Outputs) -> Tensor:
        """Scalar to minimize; reads the memory and writes nothing."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(outputs)")

    def embeddings(self, outputs: Outputs) -> list[list[Tensor]]:
        """The embeddings of each of `spaces`: (B, D), or (B, n, D) for n of an image; row i belongs to image i."""
        return [[outputs[name] for name in names] for names in self.spaces]

    def codebook(self) -> Tensor:
        """Unit rows (H, K, D) that embeddings are compared with, in H clusterings; of family "knowledge" only."""
        raise NotImplementedError(f"{type(self).__name__} is of family '{self.family}', which has no codebook")

    def update(self, outputs: Outputs) -> None:
        """Write to the memory; called once after each optimizer step, with the outputs of that step."""

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Scores of InfoNCE by name, for the bound log N - L of the mutual information; {} if there are none.

        For outputs of `forward` in any mode; writes nothing. Read by the representation monitor.
        """
        return {}

    def cluster_assignments(self, outputs: Outputs) -> ClusterAssignment | None:
        """The clusters or prototypes of the images, to monitor how many are in use; None if there are none.

        For outputs of `forward` in any mode; writes nothing. Read by the representation monitor.
        """
        return None

    def prepare(self, batches: Iterable[Tensor]) -> None:
        """Read the experience's raw images (B, C, H, W) before an epoch, for methods that cluster them."""
