"""Barlow Twins (Zbontar et al. 2021, arXiv:2103.03230): the dimensions of two views correlate one to one."""

from torch import Tensor

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.losses import barlow_loss
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class BarlowTwins(Method):
    """Redundancy reduction: the cross-correlation of two views' embeddings becomes the identity.

    Remembers nothing but its weights.

    Args:
        encoder: builds the encoder.
        output_dim: length of an embedding and width of the hidden layers. 8192 in the paper; 512 suits some hundred
            features.
        layers: layers of the projection head.
        weight: lambda, of the off-diagonal entries.
        augment: random view.
    """

    positive_pair = ("first", "second")
    spaces = (("first", "second"),)
    family = "decorrelative"

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 512,
        layers: int = 3,
        weight: float = 0.005,
        augment: RandomView = RandomView(),
    ) -> None:
        network = build_encoder(encoder)
        require_positive(output_dim=output_dim, layers=layers)
        require_range(0, weight=weight)
        super().__init__(network, augment)
        self.weight = weight
        self.projection_head = mlp(network.out_features, output_dim, output_dim, layers)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        return {name: self.augment(x, self.generator) for name in ("first", "second")}

    def embed(self, views: Views) -> Outputs:
        """Embeddings (B, output_dim) of both views, each from its own forward pass."""
        return {name: self.projection_head(self.encoder(views[name])) for name in ("first", "second")}

    def loss(self, outputs: Outputs) -> Tensor:
        """Squared distance of the cross-correlation to the identity (eq. 1)."""
        return barlow_loss(outputs["first"], outputs["second"], self.weight)
