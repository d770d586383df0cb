"""SimSiam (Chen & He 2021, arXiv:2011.10566): BYOL with the network itself, gradient stopped, as its target."""

from torch import Tensor

from avalanche_ssl.errors import require_positive
from avalanche_ssl.losses.noncontrastive import mean_cosine
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.transforms.augmentation import Augment


class SimSiam(Method):
    """Simple siamese representation learning; remembers nothing beside its weights.

    Args:
        encoder: builds the encoder.
        dim: length of a projection; 2048 in the paper, for 2048 features.
        hidden: width of the predictor's bottleneck; a quarter of `dim` in the paper.
        layers: of the projection head: 3, or 2 as for CIFAR in the paper's appendix D.
        augment: how views are made.
    """

    pair = ("prediction", "target")

    def __init__(
        self,
        encoder: EncoderFactory,
        dim: int = 512,
        hidden: int = 128,
        layers: int = 2,
        augment: Augment = Augment(),
    ) -> None:
        network = encoder()
        require_positive(dim=dim, hidden=hidden, layers=layers)
        super().__init__(network, augment)
        self.head = mlp(network.out_features, dim, dim, layers, last_norm=True, last_affine=False)
        self.predictor = mlp(dim, hidden, dim)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        return {name: self.augment(x, self.generator) for name in ("first", "second")}

    def embed(self, views: Views) -> Outputs:
        """Predictions (B, dim) of each view and projections (B, dim) of the other as targets, without gradient."""
        first, second = (self.head(self.encoder(views[name])) for name in ("first", "second"))
        return {
            "prediction": self.predictor(first),
            "target": second.detach(),
            "prediction2": self.predictor(second),
            "target2": first.detach(),
        }

    def loss(self, outputs: Outputs) -> Tensor:
        """Negative cosine of prediction and target, mean of both directions (eq. 4): -1 at best."""
        directions = (("prediction", "target"), ("prediction2", "target2"))
        first, second = (mean_cosine(outputs[p], outputs[t]) for p, t in directions)
        return -(first + second) / 2
