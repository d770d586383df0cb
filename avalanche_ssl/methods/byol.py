"""BYOL (Grill et al. 2020, arXiv:2006.07733): predict the slow network's view of the same image, no negatives."""

from dataclasses import replace

from torch import Tensor, nn

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.losses.noncontrastive import byol_loss
from avalanche_ssl.memory.momentum import MomentumEncoder
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.models.encoder import EncoderFactory
from avalanche_ssl.models.heads import mlp
from avalanche_ssl.transforms.augmentation import RandomView


class BYOL(Method):
    """Bootstrap your own latent: a predictor makes one view's projection like the slow copy's of the other view.

    Remembers the slow encoder with its projection head. It moves after the optimiser step. Its momentum is constant
    by default: the paper's schedule rises to 1 over a training of known length, and would leave the target frozen
    for every later experience. With ``momentum_steps`` it rises and starts again.

    Args:
        encoder: builds the encoder.
        output_dim: length of a projection.
        hidden_dim: width of the hidden layers of projection and prediction. 4096 in the paper, for 2048 features.
        head_norm: batch norm at the end of the projection, too, as in MoCo v3. The paper has none; without it the
            projections of a fresh network are nearly parallel, which a short stream does not suffice to unlearn.
        momentum: of the slow copy. 0.996 in the paper; 0.99 for short streams.
        momentum_steps: steps over which the momentum rises along half a cosine before it starts again, best those of
            an experience; 0 for a constant momentum.
        momentum_final: what it rises to.
        solarize_prob: probability in the second view only (the paper's second set of augmentations).
        augment: how views are made.
    """

    online_defaults = {"momentum_steps": 0}  # constant: a stream has no length that a schedule could follow
    positive_pair = ("prediction", "target")

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 256,
        hidden_dim: int = 512,
        head_norm: bool = False,
        momentum: float = 0.99,
        momentum_steps: int = 0,
        momentum_final: float = 0.999,
        solarize_prob: float = 0.2,
        augment: RandomView = RandomView(),
    ) -> None:
        network = encoder()
        require_positive(output_dim=output_dim, hidden_dim=hidden_dim)
        require_range(0, 1, momentum=momentum, momentum_final=momentum_final)
        super().__init__(network, augment)
        self.second_augment = replace(augment, solarize_prob=solarize_prob)
        self.projection_head = mlp(network.out_features, hidden_dim, output_dim, last_norm=head_norm, last_affine=False)
        self.predictor = mlp(output_dim, hidden_dim, output_dim)
        self.momentum_encoder = MomentumEncoder(self.online_network(), momentum, momentum_steps, momentum_final)

    def online_network(self) -> nn.Sequential:
        """The encoder with its projection head, which the slow copy follows; without the predictor."""
        return nn.Sequential(self.encoder, self.projection_head)

    def views(self, x: Tensor) -> Views:
        """Two random views, solarised at times in the second."""
        return {"first": self.augment(x, self.generator), "second": self.second_augment(x, self.generator)}

    def embed(self, views: Views) -> Outputs:
        """Predictions (B, output_dim) of each view and the slow targets (B, output_dim) of the other, without gradient."""
        online = nn.Sequential(self.online_network(), self.predictor)
        return {
            "prediction": online(views["first"]),
            "target": self.momentum_encoder(views["second"]),
            "prediction2": online(views["second"]),
            "target2": self.momentum_encoder(views["first"]),
        }

    def loss(self, outputs: Outputs) -> Tensor:
        """2 - 2 cos of prediction and target, summed over both directions (eq. 2)."""
        return byol_loss(outputs["prediction"], outputs["target"]) + byol_loss(
            outputs["prediction2"], outputs["target2"]
        )

    def update(self, outputs: Outputs) -> None:
        """Move the slow copy towards the encoder as it is after the step."""
        self.momentum_encoder.update(self.online_network())
