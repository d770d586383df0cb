"""SimSiam (Chen & He 2021, arXiv:2011.10566): BYOL with the network itself as target, its gradient stopped."""

from torch import Tensor

from avalanche_ssl.errors import require_positive
from avalanche_ssl.losses import cosine_similarity
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class SimSiam(Method):
    """Simple siamese representation learning; remembers nothing but its weights.

    Args:
        encoder: builds the encoder.
        output_dim: length of a projection; 2048 in the paper, for 2048 features.
        hidden_dim: width of the predictor's bottleneck; a quarter of `output_dim` in the paper.
        layers: layers of the projection head: 3, or 2 as for CIFAR in the paper's appendix D.
        augment: random view.
    """

    positive_pair = ("prediction", "target")
    spaces = (("first", "second"),)
    family = "predictive"

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 512,
        hidden_dim: int = 128,
        layers: int = 2,
        augment: RandomView = RandomView(),
    ) -> None:
        network = build_encoder(encoder)
        require_positive(output_dim=output_dim, hidden_dim=hidden_dim, layers=layers)
        super().__init__(network, augment)
        self.projection_head = mlp(
            network.out_features, output_dim, output_dim, layers, last_norm=True, last_affine=False
        )
        self.predictor = mlp(output_dim, hidden_dim, output_dim)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        return {name: self.augment(x, self.generator) for name in ("first", "second")}

    def embed(self, views: Views) -> Outputs:
        """Predictions (B, output_dim) of each view, and projections of the other as targets, without gradient.

        Also the projections "first" and "second" with their gradient, which distillers compare.
        """
        first, second = (self.projection_head(self.encoder(views[name])) for name in ("first", "second"))
        return {
            "prediction": self.predictor(first),
            "target": second.detach(),
            "prediction2": self.predictor(second),
            "target2": first.detach(),
            "first": first,
            "second": second,
        }

    def loss(self, outputs: Outputs) -> Tensor:
        """Negative cosine of prediction and target, mean of both directions (eq. 4): -1 at best."""
        directions = (("prediction", "target"), ("prediction2", "target2"))
        first, second = (cosine_similarity(outputs[p], outputs[t]) for p, t in directions)
        return -(first + second) / 2
