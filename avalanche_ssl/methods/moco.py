"""MoCo v1, v2 (He et al. 2020, arXiv:1911.05722; Chen et al. 2020, arXiv:2003.04297): a queue of keys."""

import torch
from torch import Tensor

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import info_nce, similarity_scores
from avalanche_ssl.memory import MomentumEncoder, Queue
from avalanche_ssl.methods.base import ContrastiveScores, Outputs, Views
from avalanche_ssl.methods.momentum import MomentumMethod
from avalanche_ssl.models import EncoderFactory, SplitBatchNorm, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class MoCo(MomentumMethod):
    """Momentum contrast: find the key of a query among a queue of older keys.

    Remembers the momentum encoder of the keys with its head, and the queue, which ignores boundaries. v1:
    ``hidden_dim=0, temperature=0.07``; v2 (default): a head with one hidden layer. Keys are enqueued once per step,
    after the loss, so no query meets its own key among the negatives. Replayed images return often and would meet
    their own older keys there, so their keys are not enqueued. Batch norm is not shuffled, which has no effect on one
    device; `split_norm` has the effect of shuffling.

    Args:
        encoder: builds the encoder.
        output_dim: length of a key.
        hidden_dim: width of the head's hidden layer; -1 for the number of features (v2), 0 for a linear head (v1).
        head_norm: batch norm in the head, also at its end. The paper has none; without it the embeddings of a barely
            trained network point in similar directions (mean cosine with the queue 0.4 to 0.8 in a trial of 300 steps,
            0.0 to 0.1 with it). With a linear head, three seeds of a short stream gained 9 points without and 25
            points with it.
        queue_size: number of keys. The paper's 65,536 would outlive many experiences; at CIFAR's size the effect
            saturates at 4,096.
        momentum: momentum of the key encoder. 0.999 in the paper; 0.99 for short streams.
        temperature: temperature of InfoNCE.
        symmetric: use each view as query and as key; the two losses are summed.
        split_norm: batch norm by groups of the batch, with other groups for keys than for queries, so that a query
            cannot identify its key by shared statistics, see `avalanche_ssl.models.SplitBatchNorm`.
        augment: random view.
    """

    positive_pair = ("query", "key")

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 128,
        hidden_dim: int = -1,
        head_norm: bool = False,
        queue_size: int = 4096,
        momentum: float = 0.99,
        temperature: float = 0.1,
        symmetric: bool = False,
        split_norm: bool = False,
        augment: RandomView = RandomView(),
    ) -> None:
        network = build_encoder(encoder, norm="split") if split_norm else build_encoder(encoder)
        require_positive(output_dim=output_dim, temperature=temperature)
        require_range(-1, hidden_dim=hidden_dim)
        super().__init__(network, augment)
        self.temperature = temperature
        self.symmetric = symmetric
        self.spaces = (("query", "query2") if symmetric else ("query",),)
        features = network.out_features
        width = features if hidden_dim < 0 else hidden_dim
        self.projection_head = mlp(
            features, width, output_dim, layers=2 if width else 1, norm=head_norm, last_norm=head_norm
        )
        self.momentum_encoder = MomentumEncoder(self.online_network(), momentum)
        for module in self.momentum_encoder.modules():
            if isinstance(module, SplitBatchNorm):
                module.interleaved = True
        self.queue = Queue(queue_size, output_dim)

    def embed(self, views: Views) -> Outputs:
        """Unit queries (B, output_dim) of the first view, and unit keys of the second, without gradient."""
        online = self.online_network()
        outputs = {
            "query": l2_normalize(online(views["first"])),
            "key": l2_normalize(self.momentum_encoder(views["second"])),
        }
        if self.symmetric:
            outputs |= {
                "query2": l2_normalize(online(views["second"])),
                "key2": l2_normalize(self.momentum_encoder(views["first"])),
            }
        return outputs

    def loss(self, outputs: Outputs) -> Tensor:
        """InfoNCE of each query's key against the queue as it was before this step."""
        losses = [info_nce(c.scores, c.temperature) for c in self.contrastive_scores(outputs).values()]
        return torch.stack(losses).sum()

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Each query against its key and the queue, N = queue_size + 1; old keys make this easier than N suggests."""
        names = {"first to second": ("query", "key")}
        if self.symmetric:
            names["second to first"] = ("query2", "key2")
        return {
            name: ContrastiveScores(similarity_scores(outputs[query], outputs[key], self.queue.rows), self.temperature)
            for name, (query, key) in names.items()
        }

    def update(self, outputs: Outputs) -> None:
        """Move the momentum encoder towards the online network, and enqueue the keys of new images."""
        super().update(outputs)
        self.queue.enqueue(outputs["key"][: self.n_new])
        if self.symmetric:
            self.queue.enqueue(outputs["key2"][: self.n_new])
