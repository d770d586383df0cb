"""SwAV (Caron et al. 2020, arXiv:2006.09882): predict the cluster of one crop from the other crops of its image."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import sinkhorn, swapped_prediction
from avalanche_ssl.memory import Prototypes, Queue
from avalanche_ssl.methods.base import ClusterAssignment, Method, Outputs, Views, check_encoder_size
from avalanche_ssl.models import EncoderFactory, build_encoder, frozen_buffers, mlp
from avalanche_ssl.transforms import RandomView

LARGE = ("first", "second")
"""The large crops of an image, whose codes are computed."""


class SwAV(Method):
    """Swapping assignments between views: online clustering with codes that use all prototypes equally.

    Remembers the prototypes, the number of steps that freezes them, and a queue for each large crop. Nothing happens
    at the boundary of an experience, so none is needed: prototypes and queue are kept, prototypes are frozen only at
    the start of the stream, and the queue has forgotten the last experience after queue_size / batch_size steps. A
    queue much longer than an experience would let old images claim a share of the prototypes.

    Mini-batches of 10 images are too small for codes that use 128 prototypes equally, so online (`online_defaults`)
    a queue of three rows per prototype is added. Replayed images are enqueued like others, so that the queue has the
    composition of the batches.

    Args:
        encoder: builds the encoder.
        output_dim: length of an embedding.
        hidden_dim: width of the projection head; 0 for the number of features.
        prototypes: K. The paper's 3,000 are for ImageNet; codes need a batch (with queue) of some K images.
        temperature: temperature of the predictions.
        epsilon: entropy weight of the codes; smaller is sharper. If the loss stays at log K, give a smaller one.
        iterations: iterations of Sinkhorn's algorithm.
        codes: "soft", or "hard" for the best prototype only (paper sec. 3.1, where it is worse).
        queue_size: embeddings of past batches, per large crop, that take part in computing codes, used as soon as the
            queue is full. 0 for none, as in the paper's large batches.
        freeze: steps at the start of the stream during which prototypes do not move.
        small_crops: number of additional small crops, which only predict (multi-crop); 6 in the paper.
        small_size: height and width of small crops in pixels.
        small_scale: share of the image's area in small crops.
        augment: random view; its scale and size are those of the large crops.
    """

    online_defaults = {"queue_size": 384}
    positive_pair = LARGE
    spaces = (LARGE,)
    family = "knowledge"

    def __init__(
        self,
        encoder: EncoderFactory,
        output_dim: int = 128,
        hidden_dim: int = 0,
        prototypes: int = 128,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        codes: Literal["soft", "hard"] = "soft",
        queue_size: int = 0,
        freeze: int = 100,
        small_crops: int = 0,
        small_size: int = 16,
        small_scale: tuple[float, float] = (0.05, 0.2),
        augment: RandomView = RandomView(),
    ) -> None:
        require_positive(output_dim=output_dim, temperature=temperature, epsilon=epsilon, iterations=iterations)
        require_range(0, hidden_dim=hidden_dim, queue_size=queue_size, small_crops=small_crops, freeze=freeze)
        network = build_encoder(encoder)
        if small_crops:
            check_encoder_size(network, small_size, "small crops", "give small_crops=0, or an encoder for any size")
        super().__init__(network, augment)
        self.small = replace(augment, size=small_size, scale=small_scale)
        self.small_crops = small_crops
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.hard = codes == "hard"
        features = network.out_features
        self.projection_head = mlp(features, hidden_dim or features, output_dim)
        self.prototypes = Prototypes(prototypes, output_dim, freeze)
        self.queues = nn.ModuleList(Queue(queue_size, output_dim) for _ in (LARGE if queue_size else ()))

    def views(self, x: Tensor) -> Views:
        """Two large crops (B, C, H, W) and, if any, the small ones (B, n, C, h, w)."""
        views = {crop: self.augment(x, self.generator) for crop in LARGE}
        if self.small_crops:
            crops = [self.small(x, self.generator) for _ in range(self.small_crops)]
            views["small"] = torch.stack(crops, dim=1)
        return views

    def embed(self, views: Views) -> Outputs:
        """Unit embeddings (B, output_dim), of small crops (B, n, output_dim); crops of one size share batch statistics.

        Small crops leave the running statistics of the encoder alone, which remain those of large crops.
        """
        features = [self.encoder(torch.cat([views[crop] for crop in LARGE]))]
        if self.small_crops:
            with frozen_buffers(self.encoder):
                features.append(self.encoder(views["small"].flatten(0, 1)))
        rows = l2_normalize(self.projection_head(torch.cat(features)))
        batch = len(views["first"])
        outputs = {"first": rows[:batch], "second": rows[batch : 2 * batch]}
        if self.small_crops:
            outputs["small"] = rows[2 * batch :].view(batch, self.small_crops, -1)
        return outputs

    def loss(self, outputs: Outputs) -> Tensor:
        """Cross-entropy of every crop with the codes of the other large crops, mean over the pairs."""
        z = [outputs[crop][:, None] for crop in LARGE] + ([outputs["small"]] if self.small_crops else [])
        scores = self.prototypes(torch.cat(z, dim=1))  # (B, V, K)
        codes = [self._codes(scores[:, crop].detach(), crop) for crop in range(len(LARGE))]
        return swapped_prediction(scores, torch.stack(codes, dim=1), self.temperature)

    def cluster_assignments(self, outputs: Outputs) -> ClusterAssignment:
        """The best prototype of each large crop."""
        best = [self.prototypes(outputs[crop]).argmax(1) for crop in LARGE]
        return ClusterAssignment(torch.stack(best, dim=1), len(self.prototypes.weight))

    def codebook(self) -> Tensor:
        """The prototypes (1, K, D), as unit rows."""
        return l2_normalize(self.prototypes.weight)[None]

    def update(self, outputs: Outputs) -> None:
        """Normalize the prototypes, or restore them while frozen; enqueue each large crop in its own queue."""
        self.prototypes.normalize()
        if self.queues:
            for number, crop in enumerate(LARGE):
                self._queue(number).enqueue(outputs[crop])

    def _queue(self, crop: int) -> Queue:
        queue = self.queues[crop]
        assert isinstance(queue, Queue)
        return queue

    @torch.no_grad()
    def _codes(self, scores: Tensor, crop: int) -> Tensor:
        """Codes (B, K) of one large crop, computed together with its queue once that is full."""
        batch, valid = len(scores), None
        if self.queues:
            queue = self._queue(crop)
            full = (queue.n_enqueued >= len(queue.rows)).expand(len(queue.rows))
            valid = torch.cat([full.new_ones(batch), full])
            scores = torch.cat([scores, self.prototypes(queue.rows)])
        codes = sinkhorn(scores, self.epsilon, self.iterations, valid)[:batch]
        return F.one_hot(codes.argmax(1), codes.shape[1]).to(codes.dtype) if self.hard else codes
