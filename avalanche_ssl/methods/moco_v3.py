"""MoCo v3 (Chen et al. 2021, arXiv:2104.02057): the keys of the batch instead of a queue, and a predictor."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import contrast_in_batch, info_nce
from avalanche_ssl.memory.momentum import MomentumEncoder
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views
from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.transforms.augmentation import RandomView


class MoCoV3(Method):
    """Momentum contrast without a queue: a predicted query finds its slow key among those of the batch.

    Remembers the slow key encoder with its projection head; it moves after the optimiser step.

    Args:
        encoder: builds the encoder.
        output_dim: length of a key.
        hidden_dim: width of the hidden layers of projection and prediction. 4096 in the paper, for 2048 features.
        layers: of the projection head: 2 for ResNets, 3 for ViT.
        temperature: of InfoNCE. 1.0 in the paper for ResNet-50 at a batch of 4096, 0.2 for ViT and CIFAR.
        momentum: of the slow copy, constant by default: see `BYOL`.
        momentum_steps: steps over which the momentum rises before it starts again; 0 for a constant momentum.
        momentum_final: what it rises to.
        solarize_prob: probability in the second view only, as in BYOL.
        augment: how views are made.
    """

    online_defaults = {"momentum_steps": 0}  # constant: a stream has no length that a schedule could follow
    positive_pair = ("query", "key")

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 256,
        hidden_dim: int = 512,
        layers: int = 2,
        temperature: float = 0.2,
        momentum: float = 0.99,
        momentum_steps: int = 0,
        momentum_final: float = 0.999,
        solarize_prob: float = 0.2,
        augment: RandomView = RandomView(),
    ) -> None:
        network = encoder()
        require_positive(output_dim=output_dim, hidden_dim=hidden_dim, layers=layers, temperature=temperature)
        require_range(0, 1, momentum=momentum, momentum_final=momentum_final)
        super().__init__(network, augment)
        self.second_augment = replace(augment, solarize_prob=solarize_prob)
        self.temperature = temperature
        self.projection_head = mlp(
            network.out_features, hidden_dim, output_dim, layers, last_norm=True, last_affine=False
        )
        self.predictor = mlp(output_dim, hidden_dim, output_dim, last_norm=True, last_affine=False)
        self.momentum_encoder = MomentumEncoder(self.online_network(), momentum, momentum_steps, momentum_final)

    def online_network(self) -> nn.Sequential:
        """The encoder with its projection head, which the slow copy follows; without the predictor."""
        return nn.Sequential(self.encoder, self.projection_head)

    def views(self, x: Tensor) -> Views:
        """Two random views, solarised at times in the second."""
        return {"first": self.augment(x, self.generator), "second": self.second_augment(x, self.generator)}

    def embed(self, views: Views) -> Outputs:
        """Unit queries (B, output_dim) of each view and the slow unit keys (B, output_dim) of the other, without gradient."""
        online = nn.Sequential(self.online_network(), self.predictor)
        return {
            "query": l2_normalize(online(views["first"])),
            "key": l2_normalize(self.momentum_encoder(views["second"])),
            "query2": l2_normalize(online(views["second"])),
            "key2": l2_normalize(self.momentum_encoder(views["first"])),
        }

    def loss(self, outputs: Outputs) -> Tensor:
        """2 tau InfoNCE, summed over both directions (algorithm 1)."""
        losses = [info_nce(c.scores, c.temperature) for c in self.contrastive_scores(outputs).values()]
        return 2 * self.temperature * torch.stack(losses).sum()

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Each query against its key and the batch's other keys, N = B."""
        return {
            "first to second": ContrastiveScores(contrast_in_batch(outputs["query"], outputs["key"]), self.temperature),
            "second to first": ContrastiveScores(
                contrast_in_batch(outputs["query2"], outputs["key2"]), self.temperature
            ),
        }

    def update(self, outputs: Outputs) -> None:
        """Move the slow copy towards the encoder."""
        self.momentum_encoder.update(self.online_network())
