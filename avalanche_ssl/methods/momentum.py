"""`MomentumMethod`: what MoCo, MoCo v3 and BYOL share."""

from torch import Tensor, nn

from avalanche_ssl.memory import MomentumEncoder
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.transforms import RandomView


class MomentumMethod(Method):
    """A method of two views whose momentum encoder follows the encoder with its projection head.

    Subclasses create `projection_head` and `momentum_encoder`, a copy of `online_network()`.

    Args:
        encoder: the network to train.
        augment: random view, the first one.
        second_augment: the second random view; None: as the first.
    """

    projection_head: nn.Module
    momentum_encoder: MomentumEncoder

    def __init__(self, encoder: nn.Module, augment: RandomView, second_augment: RandomView | None = None) -> None:
        super().__init__(encoder, augment)
        self.second_augment = second_augment

    def online_network(self) -> nn.Sequential:
        """The encoder with its projection head, which the momentum encoder follows."""
        return nn.Sequential(self.encoder, self.projection_head)

    def views(self, x: Tensor) -> Views:
        """Two random views."""
        second = self.second_augment or self.augment
        return {"first": self.augment(x, self.generator), "second": second(x, self.generator)}

    def update(self, outputs: Outputs) -> None:
        """Move the momentum encoder towards the online network, after the optimizer step."""
        self.momentum_encoder.update(self.online_network())
