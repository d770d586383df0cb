"""VICReg (Bardes et al. 2022, arXiv:2105.04906): views agree, every dimension varies, and no two vary together."""

from torch import Tensor

from avalanche_ssl.errors import UsageError, require_positive, require_range
from avalanche_ssl.losses import vicreg_loss
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class VICReg(Method):
    """Variance-invariance-covariance regularization; remembers nothing but its weights.

    Args:
        encoder: builds the encoder.
        output_dim: length of an embedding and width of the hidden layers. 8192 in the paper; 512 suits some hundred
            features.
        layers: layers of the projection head.
        invariance: weight of the views' mean squared difference.
        variance: weight of the hinge on the standard deviations.
        covariance: weight of the squared covariances.
        augment: random view.
    """

    positive_pair = ("first", "second")
    spaces = (("first", "second"),)
    family = "mse"

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 512,
        layers: int = 3,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        augment: RandomView = RandomView(),
    ) -> None:
        network = build_encoder(encoder)
        require_positive(output_dim=output_dim, layers=layers)
        require_range(0, invariance=invariance, variance=variance, covariance=covariance)
        if not invariance + variance + covariance:
            raise UsageError("settings 'invariance', 'variance' and 'covariance' are all 0: give one of them a weight")
        super().__init__(network, augment)
        self.weights = (invariance, variance, covariance)
        self.projection_head = mlp(network.out_features, output_dim, output_dim, layers)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        return {name: self.augment(x, self.generator) for name in ("first", "second")}

    def embed(self, views: Views) -> Outputs:
        """Embeddings (B, output_dim) of both views, each from its own forward pass."""
        return {name: self.projection_head(self.encoder(views[name])) for name in ("first", "second")}

    def loss(self, outputs: Outputs) -> Tensor:
        """The three weighted terms (eq. 6)."""
        return vicreg_loss(outputs["first"], outputs["second"], *self.weights)
