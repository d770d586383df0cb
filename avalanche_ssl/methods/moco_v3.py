"""MoCo v3 (Chen et al. 2021, arXiv:2104.02057): keys of the batch instead of a queue, and a predictor."""

from dataclasses import replace

import torch
from torch import Tensor

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import info_nce, similarity_scores_in_batch
from avalanche_ssl.memory import MomentumEncoder
from avalanche_ssl.methods.base import ContrastiveScores, Outputs, Views
from avalanche_ssl.methods.momentum import MomentumMethod
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class MoCoV3(MomentumMethod):
    """Momentum contrast without a queue: find the key of a predicted query among the keys of the batch.

    Remembers the momentum encoder with its projection head, which moves after the optimizer step.

    Args:
        encoder: builds the encoder.
        output_dim: length of a key.
        hidden_dim: width of the hidden layers of projection and prediction. 4096 in the paper, for 2048 features.
        temperature: temperature of InfoNCE. 1.0 in the paper for ResNet-50 at a batch of 4096, 0.2 for ViT and CIFAR.
        momentum: momentum of the momentum encoder, constant by default: see `BYOL`.
        momentum_steps: steps over which the momentum rises to 0.999 before it starts again; 0 for a constant one.
        solarize_prob: probability of solarization in the second view only, as in BYOL.
        augment: random view.
    """

    online_defaults = {"momentum_steps": 0}  # constant: a stream has no length that a schedule could follow
    positive_pair = ("query", "key")
    spaces = (("first", "second"),)

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 256,
        hidden_dim: int = 512,
        temperature: float = 0.2,
        momentum: float = 0.99,
        momentum_steps: int = 0,
        solarize_prob: float = 0.2,
        augment: RandomView = RandomView(),
    ) -> None:
        network = build_encoder(encoder)
        require_positive(output_dim=output_dim, hidden_dim=hidden_dim, temperature=temperature)
        require_range(0, 1, momentum=momentum)
        super().__init__(network, augment, replace(augment, solarize_prob=solarize_prob))
        self.temperature = temperature
        self.projection_head = mlp(network.out_features, hidden_dim, output_dim, last_norm=True, last_affine=False)
        self.predictor = mlp(output_dim, hidden_dim, output_dim, last_norm=True, last_affine=False)
        self.momentum_encoder = MomentumEncoder(self.online_network(), momentum, momentum_steps)

    def embed(self, views: Views) -> Outputs:
        """Unit queries (B, output_dim) of each view, and unit keys (B, output_dim) of the other, without gradient.

        Also the projections "first" and "second" that queries are predicted from, which distillers compare.
        """
        online, predictor = self.online_network(), self.predictor
        return {
            "query": l2_normalize(predictor(first := online(views["first"]))),
            "key": l2_normalize(self.momentum_encoder(views["second"])),
            "query2": l2_normalize(predictor(second := online(views["second"]))),
            "key2": l2_normalize(self.momentum_encoder(views["first"])),
            "first": first,
            "second": second,
        }

    def loss(self, outputs: Outputs) -> Tensor:
        """2 tau InfoNCE, summed over both directions (algorithm 1)."""
        losses = [info_nce(c.scores, c.temperature) for c in self.contrastive_scores(outputs).values()]
        return 2 * self.temperature * torch.stack(losses).sum()

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Each query against its key and the batch's other keys, N = B."""
        names = {"first to second": ("query", "key"), "second to first": ("query2", "key2")}
        return {
            name: ContrastiveScores(similarity_scores_in_batch(outputs[query], outputs[key]), self.temperature)
            for name, (query, key) in names.items()
        }
