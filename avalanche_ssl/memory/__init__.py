"""What methods remember, as modules whose state lies in buffers of fixed shape."""

from avalanche_ssl.memory.bank import MemoryBank, content_hash
from avalanche_ssl.memory.clusters import Clusters, perplexity, spherical_kmeans
from avalanche_ssl.memory.momentum import MomentumEncoder, cosine_momentum
from avalanche_ssl.memory.nce_normalizer import NCENormalizer
from avalanche_ssl.memory.prototypes import Prototypes
from avalanche_ssl.memory.queue import Queue

__all__ = [
    "Clusters",
    "MemoryBank",
    "MomentumEncoder",
    "NCENormalizer",
    "Prototypes",
    "Queue",
    "content_hash",
    "cosine_momentum",
    "perplexity",
    "spherical_kmeans",
]
