"""DeepCluster v1 (arXiv:1807.05520) and v2 (arXiv:2006.09882, appendix D): predict the cluster of an image."""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from avalanche_ssl.distributed import divided
from avalanche_ssl.errors import require_positive, require_range
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import cluster_prediction
from avalanche_ssl.memory import Clusters, MemoryBank, content_hash
from avalanche_ssl.methods.base import ClusterAssignment, Method, Outputs, Views
from avalanche_ssl.models import EncoderFactory, build_encoder, eval_mode, mlp
from avalanche_ssl.transforms import RandomView


class DeepCluster(Method):
    """Cluster the images, then predict the cluster of an image from a random view.

    Version 2 clusters the projections of two crops, several times, and compares a view with the centroids, which
    are frozen prototypes. Version 1 clusters whitened features, trains a linear classifier of the clusters on one
    view, re-initializes it at each clustering, and gives all clusters the same weight.

    Remembers a bank of embeddings by image content, and the centroids. With ``clustering="epoch"`` the experience
    is clustered before each of its epochs: its images are embedded, and k-means starts from the last centroids,
    also across experiences. The cluster of an image is that of its row in the bank, written by the clustering or by
    the last step with the image (a replayed image is not part of the clustering); an image without a row is in the
    cluster nearest to its views. With ``clustering="online"``, for streams of mini-batches, the centroids follow every
    batch instead, large clusters are penalized, and neither boundaries nor repeated epochs are needed. N images form
    at most N / 10 clusters.

    Args:
        encoder: builds the encoder.
        version: 1 or 2.
        clustering: "epoch" or "online".
        clusters: K of each clustering; 3,000 and 10,000 in the papers, for ImageNet.
        heads: number of clusterings.
        output_dim: length of a clustered row: a projection, or the output of version 1's hidden layers if it has any.
        hidden_dim: width of the projection head; 0 for the number of features. In version 1, width of the first of two
            layers between encoder and classifier, as in the paper's AlexNet, whose convolutions are probed; with 0,
            the encoder's own features are clustered.
        temperature: temperature of the softmax over centroids (version 2); online also the weight of cluster sizes.
        iterations: iterations of k-means.
        capacity: images in the bank; should be at least the size of an experience.
        reembed: whether all images of the experience are embedded without augmentation before each of its epochs;
            otherwise only those without a row in the bank are, and the others keep that of the last step with them,
            which is version 2's way and cheaper.
        redraw: whether version 1 re-initializes its classifier at each clustering, as in the paper. The optimizer's
            state is kept.
        augment: random view.
    """

    online_defaults = {"clustering": "online"}

    def __init__(
        self,
        encoder: EncoderFactory,
        version: Literal[1, 2] = 2,
        clustering: Literal["epoch", "online"] = "epoch",
        clusters: int = 128,
        heads: int = 3,
        output_dim: int = 128,
        hidden_dim: int = 0,
        temperature: float = 0.1,
        iterations: int = 10,
        capacity: int = 65536,
        reembed: bool = True,
        redraw: bool = True,
        augment: RandomView = RandomView(),
    ) -> None:
        require_positive(temperature=temperature, iterations=iterations, output_dim=output_dim, heads=heads)
        require_range(2, clusters=clusters)
        require_range(0, hidden_dim=hidden_dim)
        network = build_encoder(encoder)
        super().__init__(network, augment)
        self.positive_pair = ("first", "second") if version == 2 else None
        self.names = self.positive_pair or ("first",)
        self.spaces = (self.names,)
        # centroids of version 1 lie in a whitened space, and its features before it: no codebook
        self.family = "knowledge" if version == 2 else "predictive"
        self.online = clustering == "online"
        self.requires_full_experience = not self.online
        self.reembed = reembed
        self.redraw = redraw and version == 1
        self.temperature, self.iterations = temperature, iterations
        features = network.out_features
        self.classifier: nn.Linear | None = None
        self.projection_head: nn.Module = nn.Identity()
        if version == 2 or hidden_dim:
            self.projection_head = mlp(features, hidden_dim or features, output_dim)
        else:
            output_dim = features
        if version == 1:
            self.classifier = nn.Linear(output_dim, heads * clusters)
        self.bank = MemoryBank(capacity, len(self.names), output_dim, momentum=0)
        self.clusters = Clusters(
            heads, clusters, len(self.names), output_dim, whiten=version == 1, balance=temperature * self.online
        )

    def views(self, x: Tensor) -> Views:
        """One random view (version 1) or two, and the ids of the images."""
        return {v: self.augment(x, self.generator) for v in self.names} | {"ids": content_hash(x)}

    def embed(self, views: Views) -> Outputs:
        """Unit projections (B, output_dim) of the views, or version 1's features, from one forward pass."""
        rows = self.projection_head(self.encoder(torch.cat([views[v] for v in self.names])))
        rows = rows if self.classifier else l2_normalize(rows)
        return dict(zip(self.names, rows.chunk(len(self.names)), strict=True)) | {"ids": views["ids"]}

    def loss(self, outputs: Outputs) -> Tensor:
        """Cross-entropy of the images' clusters, mean over views and clusterings."""
        labels = self.cluster_assignments(outputs).labels
        weight = 1 / self.clusters.sizes.clamp(min=1) if self.classifier else None
        losses = [cluster_prediction(self._scores(outputs[v]), labels, weight) for v in self.names]
        return torch.stack(losses).mean()

    def cluster_assignments(self, outputs: Outputs) -> ClusterAssignment:
        """The cluster of each image in each clustering, by its row in the bank or else by its embedding."""
        labels = self.clusters.assign(self.bank.read(outputs["ids"], self._rows(outputs)))
        return ClusterAssignment(labels, self.clusters.sizes.shape[1])

    def codebook(self) -> Tensor:
        """The centroids in use (H, K, D) of version 2, unit rows."""
        if self.classifier:
            return super().codebook()
        return self.clusters.centroids[:, : int(self.clusters.active)]

    def update(self, outputs: Outputs) -> None:
        """Write the embeddings to the bank; online, also move the centroids towards them."""
        rows = self._rows(outputs)
        if self.online:
            self.clusters.partial_fit(rows, self.generator)
        self.bank.write(outputs["ids"], rows)

    @torch.no_grad()
    def prepare(self, batches: Iterable[Tensor]) -> None:
        """Embed the images of the experience, all or those without a row, without augmentation, and cluster them."""
        if self.online:
            return
        ids, rows = [], []
        with eval_mode(self):
            for x in batches:
                ids.append(content_hash(x))
                rows.append(self._prepared(x, ids[-1]))
        if not rows:
            return
        for batch, row in zip(ids, rows, strict=True):
            self.bank.write(batch, row)
        self.clusters.fit(torch.cat(rows), self.iterations, self.generator)
        if self.redraw and self.classifier:
            weight = self.classifier.weight
            source = self.generator.device if self.generator else weight.device
            weight.copy_(0.01 * torch.randn(weight.shape, generator=self.generator, device=source))
            self.classifier.bias.zero_()

    def _prepared(self, x: Tensor, ids: Tensor) -> Tensor:
        """The rows (B, V, D) by which images are clustered; embedded here, an image has one for all views."""
        slots, known = self.bank.find(ids)
        rows, stale = self.bank.rows[slots], ~known | self.reembed
        if stale.any():
            z = divided(lambda images: self.projection_head(self.extract_features(images)), x[stale])
            rows[stale] = l2_normalize(z)[:, None].to(rows.dtype)
        return rows

    def _rows(self, outputs: Outputs) -> Tensor:
        """Unit embeddings (B, V, D), without gradient."""
        return l2_normalize(torch.stack([outputs[v].detach() for v in self.names], dim=1))

    def _scores(self, z: Tensor) -> Tensor:
        """Logits (B, H, K) of the clusters for embeddings (B, D)."""
        centroids = self.clusters.centroids
        if self.classifier:
            scores = self.classifier(z.relu()).unflatten(1, centroids.shape[:2])
        else:
            scores = torch.einsum("bd,hkd->bhk", z, centroids) / self.temperature
        return self.clusters.mask(scores)
