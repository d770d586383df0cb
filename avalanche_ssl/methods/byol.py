"""BYOL (Grill et al. 2020, arXiv:2006.07733): predict the momentum encoder's view of an image, without negatives."""

from dataclasses import replace

from torch import Tensor

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.losses import byol_loss
from avalanche_ssl.memory import MomentumEncoder
from avalanche_ssl.methods.base import Outputs, Views
from avalanche_ssl.methods.momentum import MomentumMethod
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class BYOL(MomentumMethod):
    """Bootstrap your own latent: predict the momentum encoder's projection of one view from the other view.

    Remembers the momentum encoder with its projection head, which moves after the optimizer step. Its momentum is
    constant by default: the paper's schedule rises to 1 over a training of known length and would leave the target
    frozen for every later experience. With `momentum_steps` it rises repeatedly.

    Args:
        encoder: builds the encoder.
        output_dim: length of a projection.
        hidden_dim: width of the hidden layers of projection and prediction. 4096 in the paper, for 2048 features.
        head_norm: batch norm at the end of the projection too, as in MoCo v3. The paper has none; without it the
            projections of an untrained network are nearly parallel, which a short stream is too short to change.
        momentum: momentum of the momentum encoder. 0.996 in the paper; 0.99 for short streams.
        momentum_steps: steps over which the momentum rises along half a cosine before it starts again, ideally those
            of an experience; 0 for a constant momentum.
        momentum_final: momentum at the end of the rise.
        solarize_prob: probability of solarization in the second view only (the paper's second set of augmentations).
        augment: random view.
    """

    online_defaults = {"momentum_steps": 0}  # constant: a stream has no length that a schedule could follow
    positive_pair = ("prediction", "target")
    spaces = (("first", "second"),)
    family = "predictive"

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
        network = build_encoder(encoder)
        require_positive(output_dim=output_dim, hidden_dim=hidden_dim)
        require_range(0, 1, momentum=momentum, momentum_final=momentum_final)
        super().__init__(network, augment, replace(augment, solarize_prob=solarize_prob))
        self.projection_head = mlp(network.out_features, hidden_dim, output_dim, last_norm=head_norm, last_affine=False)
        self.predictor = mlp(output_dim, hidden_dim, output_dim)
        self.momentum_encoder = MomentumEncoder(self.online_network(), momentum, momentum_steps, momentum_final)

    def embed(self, views: Views) -> Outputs:
        """Predictions (B, output_dim) of each view, and targets (B, output_dim) of the other, without gradient.

        Also the projections "first" and "second" that they are predicted from, which distillers compare.
        """
        online = self.online_network()
        return {
            "prediction": self.predictor(first := online(views["first"])),
            "target": self.momentum_encoder(views["second"]),
            "prediction2": self.predictor(second := online(views["second"])),
            "target2": self.momentum_encoder(views["first"]),
            "first": first,
            "second": second,
        }

    def loss(self, outputs: Outputs) -> Tensor:
        """2 - 2 cos of prediction and target, summed over both directions (eq. 2)."""
        return byol_loss(outputs["prediction"], outputs["target"]) + byol_loss(
            outputs["prediction2"], outputs["target2"]
        )
