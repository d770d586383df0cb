"""MoCo v1, v2 (He et al. 2020, arXiv:1911.05722; Chen et al. 2020, arXiv:2003.04297): a queue of keys."""

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import contrast, info_nce
from avalanche_ssl.memory.momentum import MomentumEncoder
from avalanche_ssl.memory.queue import Queue
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views
from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.models.norms import SplitBatchNorm
from avalanche_ssl.transforms.augmentation import RandomView


class MoCo(Method):
    """Momentum contrast: find the key of a query among a queue of older keys.

    Remembers the slow key encoder with its head, and the queue, which knows no boundaries. v1:
    ``hidden_dim=0, temperature=0.07``; v2 (default): a head with one hidden layer. Keys are pushed once a step, after the
    loss, so no query meets its own key among the negatives. Replayed images come again and again and would meet older
    keys of their own there: theirs are not pushed. Batch norm is not shuffled: on one device shuffling changes nothing;
    `split_norm` has its effect.

    Args:
        encoder: builds the encoder.
        output_dim: length of a key.
        hidden_dim: width of the head's hidden layer; -1 for the encoder's own (v2), 0 for a linear head (v1).
        head_norm: batch norm in the head, also at its end. The paper has none; without it the embeddings of a young
            network lean one way (mean cosine with the queue 0.4 to 0.8 in a trial of 300 steps, with it 0.0 to 0.1).
            With a linear head three seeds of a short stream gained 9 points without it and 25 with it.
        queue_size: keys kept. The paper's 65,536 would outlive many experiences; 4,096 is where its effect
            saturates at CIFAR's size.
        momentum: of the key encoder. 0.999 in the paper; 0.99 for short streams.
        temperature: of InfoNCE.
        symmetric: use each view as query and as key; the two losses are summed.
        split_norm: batch norm in groups of the batch, other groups for keys than for queries, so that a query cannot
            tell its key by statistics that they share, see `avalanche_ssl.models.norms.SplitBatchNorm`.
        augment: how views are made.
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
        network = encoder(norm="split") if split_norm else encoder()
        require_positive(output_dim=output_dim, temperature=temperature)
        require_range(-1, hidden_dim=hidden_dim)
        super().__init__(network, augment)
        self.temperature = temperature
        self.symmetric = symmetric
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

    def online_network(self) -> nn.Sequential:
        """The query encoder with its head, which the slow copy follows."""
        return nn.Sequential(self.encoder, self.projection_head)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        return {name: self.augment(x, self.generator) for name in ("first", "second")}

    def embed(self, views: Views) -> Outputs:
        """Unit queries (B, output_dim) of the first view, slow keys of the second, without gradient."""
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
        """Each query against its key and the queue, N = queue_size + 1; old keys make it easier than it looks."""
        rows = self.queue.rows
        scores = {
            "first to second": ContrastiveScores(contrast(outputs["query"], outputs["key"], rows), self.temperature)
        }
        if self.symmetric:
            scores["second to first"] = ContrastiveScores(
                contrast(outputs["query2"], outputs["key2"], rows), self.temperature
            )
        return scores

    def update(self, outputs: Outputs) -> None:
        """Move the slow copy towards the encoder, and push the keys of new images."""
        self.momentum_encoder.update(self.online_network())
        self.queue.enqueue(outputs["key"][: self.n_new])
        if self.symmetric:
            self.queue.enqueue(outputs["key2"][: self.n_new])
