"""The contract that every self-supervised method keeps.

Three rules make "state persists across experiences" true by construction:

1. Everything a method remembers is a parameter or a persistent buffer, registered in ``__init__`` with its
   final shape; counters are 0-d long tensors. So ``state_dict()`` is the whole memory.
2. ``views``, ``embed`` and ``loss`` write nothing (batch-norm statistics aside); ``update`` is the only writer.
3. Something may be non-persistent only if ``prepare`` recomputes it.

`avalanche_ssl.checks.contract.check_method` turns them into checks for any method, ours or yours.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from avalanche_ssl.transforms.augmentation import RandomView

Views = dict[str, Tensor]
"""Named random views of a batch; row i of every tensor belongs to image i."""

Outputs = dict[str, Tensor]
"""Named embeddings and what the loss needs beside them; row i of every tensor belongs to image i."""


class ContrastiveScores(NamedTuple):
    """A choice among candidates, as InfoNCE poses it, see `Method.contrastive_scores`."""

    scores: Tensor
    """(B, N), the positive in column 0; -inf is no candidate."""
    temperature: float
    """The scores are divided by it."""
    cosine: bool = True
    """Whether the scores are cosines, and so at most 1 apart from 0."""


class ClusterAssignment(NamedTuple):
    """Which clusters or prototypes images belong to, see `Method.cluster_assignments`."""

    labels: Tensor
    """(B, H) long, in each of H clusterings."""
    clusters: int
    """K, so many there are in a clustering."""


class Method(nn.Module):
    """What learns: an encoder, heads, and everything the method must remember.

    Subclasses write `views`, `embed`, `loss` and, if they remember anything, `update`. Images come raw: uint8
    (B, C, H, W), or float in [0, 1].

    Args:
        encoder: what is learned and what probes read; (B, C, H, W) to (B, out_features).
        augment: how random views are made; its `normalize_only` is the deterministic view that `extract_features` uses.
    """

    generator: torch.Generator | None = None
    """Source of randomness of views and sampling; the strategy sets its own. None: torch's global one."""

    num_classes_read: int = 0
    """How many classes' labels `loss` reads, as ``outputs["labels"]`` (B,) in 0, ..., n - 1, which the strategy then
    adds. 0: none, as every method but the supervised reference."""

    n_new: int | None = None
    """How many images of the batch, the first ones, `update` may take for new; None: all. The strategy counts replayed
    images out, and those of a mini-batch that comes once more in the very next step."""

    online_defaults: Mapping[str, Any] = {}
    """Settings that fit a stream of mini-batches without boundaries, each seen once: what `run.py --online` sets."""

    requires_full_experience: bool = False
    """Whether `prepare` must see a whole experience, and mini-batches without boundaries will not do."""

    positive_pair: tuple[str, str] | None = None
    """Names of two outputs whose rows should agree, to watch alignment and collapse. None: the method has none."""

    def __init__(self, encoder: nn.Module, augment: RandomView) -> None:
        super().__init__()
        self.encoder = encoder
        self.augment = augment

    def extract_features(self, x: Tensor) -> Tensor:
        """Features (B, D) of raw images (B, C, H, W), for probes: no random views, nothing remembered."""
        features: Tensor = self.encoder(self.augment.normalize_only(x))
        return features

    def views(self, x: Tensor) -> Views:
        """Random views of raw images (B, C, H, W), as named tensors with B rows."""
        raise NotImplementedError(f"{type(self).__name__} must define views(x)")

    def embed(self, views: Views) -> Outputs:
        """Embeddings of the views, as named tensors with B rows."""
        raise NotImplementedError(f"{type(self).__name__} must define embed(views)")

    def forward(self, x: Tensor) -> Outputs:
        """`embed(views(x))`: what data parallelism wraps and what Avalanche's EWC, AGEM, ... call."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            views = self.views(x)
        return self.embed(views)

    def loss(self, outputs: Outputs) -> Tensor:
        """Scalar to minimise; reads the memory and writes nothing."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(outputs)")

    def update(self, outputs: Outputs) -> None:
        """Write to the memory; called once after each optimiser step, with the outputs of that step."""

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """InfoNCE's choices by name, for the bound log N - L of the mutual information; {} where none is defined.

        Of outputs as they come from `forward`, in any mode; writes nothing. Read by `avalanche_ssl.plugins.monitor`.
        """
        return {}

    def cluster_assignments(self, outputs: Outputs) -> ClusterAssignment | None:
        """The clusters or prototypes of the images, to watch how many are in use; None where there are none.

        Of outputs as they come from `forward`, in any mode; writes nothing. Read by `avalanche_ssl.plugins.monitor`.
        """
        return None

    def prepare(self, batches: Iterable[Tensor]) -> None:
        """Look at the experience's raw images (B, C, H, W) before an epoch, for methods that cluster it."""
