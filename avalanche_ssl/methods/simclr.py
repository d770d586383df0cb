"""SimCLR (Chen et al. 2020, arXiv:2002.05709): two views of an image attract, all others in the batch repel."""

import torch
from torch import Tensor

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import nt_xent, similarity_scores
from avalanche_ssl.methods.base import ContrastiveScores, Method, Outputs, Views
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class SimCLR(Method):
    """A simple framework for contrastive learning; remembers nothing but its weights.

    As in the official code, batch norm ends the projection head, with a scale and no shift.

    Args:
        encoder: builds the encoder.
        output_dim: length of an embedding.
        hidden_dim: width of the projection head; 0 for the number of features.
        temperature: temperature of NT-Xent. 0.5 is the paper's for CIFAR (appendix B.9).
        augment: random view.
    """

    positive_pair = ("first", "second")
    spaces = (("first", "second"),)

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 128,
        hidden_dim: int = 0,
        temperature: float = 0.5,
        augment: RandomView = RandomView(),
    ) -> None:
        network = build_encoder(encoder)
        require_positive(output_dim=output_dim, temperature=temperature)
        require_range(0, hidden_dim=hidden_dim)
        super().__init__(network, augment)
        self.temperature = temperature
        features = network.out_features
        self.projection_head = mlp(features, hidden_dim or features, output_dim, last_norm=True, last_shift=False)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        return {name: self.augment(x, self.generator) for name in ("first", "second")}

    def embed(self, views: Views) -> Outputs:
        """Unit embeddings (B, output_dim) of both views, from one forward pass: batch norm sees 2B, as in the paper."""
        both = torch.cat([views["first"], views["second"]])
        first, second = l2_normalize(self.projection_head(self.encoder(both))).chunk(2)
        return {"first": first, "second": second}

    def loss(self, outputs: Outputs) -> Tensor:
        """NT-Xent, mean over the 2B embeddings."""
        return nt_xent(outputs["first"], outputs["second"], self.temperature)

    def contrastive_scores(self, outputs: Outputs) -> dict[str, ContrastiveScores]:
        """Each of the 2B embeddings against the 2B - 1 others; rows beyond B are the second view's."""
        z = torch.cat([outputs["first"], outputs["second"]])
        own = torch.eye(len(z), dtype=torch.bool, device=z.device)
        partner = own.roll(len(z) // 2, 0)
        scores = similarity_scores(z, torch.cat([outputs["second"], outputs["first"]]), z, ~(own | partner))
        return {"first and second": ContrastiveScores(scores, self.temperature)}
