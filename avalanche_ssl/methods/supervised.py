"""Supervised cross-entropy, a reference that READS LABELS: not self-supervised, same encoder, loop and probes."""

from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError, require_range
from avalanche_ssl.methods.base import Method, Outputs, Views
from avalanche_ssl.models import EncoderFactory, build_encoder, mlp
from avalanche_ssl.transforms import RandomView


class Supervised(Method):
    """Cross-entropy with labels on the same stream, a reference for self-supervised methods.

    The only method with `num_classes_read`: the strategy then adds the labels to the outputs given to `loss`. Views
    and embeddings do not see them. There is one head for all classes of the stream, created at the start.

    Args:
        encoder: builds the encoder.
        classes: number of classes of the stream; more are harmless.
        hidden_dim: width of a hidden layer with batch norm between encoder and classifier, 0 for none. Like the
            projection heads of self-supervised methods, it lets the encoder keep what the current classes do not need
            (SL+MLP, Marczak et al. 2024, arXiv:2311.13321).
        augment: random view; by default crops and mirroring, as usual with labels, without color.
    """

    def __init__(
        self,
        encoder: EncoderFactory,
        classes: int = 100,
        hidden_dim: int = 0,
        augment: RandomView = RandomView(scale=(0.5, 1.0), jitter_prob=0.0, gray_prob=0.0),
    ) -> None:
        if classes < 2:
            raise ValueError(f"a supervised head needs 2 classes or more, not {classes}")
        require_range(0, hidden_dim=hidden_dim)
        network = build_encoder(encoder)
        super().__init__(network, augment)
        self.num_classes_read = classes
        self.projection_head = mlp(network.out_features, hidden_dim, classes, layers=2 if hidden_dim else 1)

    def views(self, x: Tensor) -> Views:
        """One random view."""
        return {"view": self.augment(x, self.generator)}

    def embed(self, views: Views) -> Outputs:
        """Logits (B, classes)."""
        return {"logits": self.projection_head(self.encoder(views["view"]))}

    def loss(self, outputs: Outputs) -> Tensor:
        """Cross-entropy of the logits with the labels, which the strategy adds.

        Raises:
            UsageError: there are no labels.
        """
        if "labels" not in outputs:
            raise UsageError('the supervised loss needs outputs["labels"] (B,): train with SelfSupervised, or add them')
        return F.cross_entropy(outputs["logits"], outputs["labels"])
