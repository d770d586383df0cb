"""What methods and replay remember, as modules whose state lies in buffers of fixed shape."""

from avalanche_ssl.memory.bank import MemoryBank, content_hash
from avalanche_ssl.memory.byte_size import format_bytes, parse_bytes
from avalanche_ssl.memory.climb_policy import Climb
from avalanche_ssl.memory.cluster_policy import ClusterBalanced
from avalanche_ssl.memory.clusters import Clusters, perplexity, spherical_kmeans
from avalanche_ssl.memory.image_buffer import ImageBuffer
from avalanche_ssl.memory.min_redundancy import MinRed
from avalanche_ssl.memory.momentum import MomentumEncoder, cosine_momentum
from avalanche_ssl.memory.nce_normalizer import NCENormalizer
from avalanche_ssl.memory.policies import FIFO, POLICIES, WITHOUT_LABELS, ClassBalanced, Reservoir, make_policy
from avalanche_ssl.memory.policy import Policy
from avalanche_ssl.memory.prototypes import Prototypes
from avalanche_ssl.memory.queue import Queue

__all__ = [
    "FIFO",
    "POLICIES",
    "WITHOUT_LABELS",
    "ClassBalanced",
    "Climb",
    "ClusterBalanced",
    "Clusters",
    "ImageBuffer",
    "MemoryBank",
    "MinRed",
    "MomentumEncoder",
    "NCENormalizer",
    "Policy",
    "Prototypes",
    "Queue",
    "Reservoir",
    "content_hash",
    "cosine_momentum",
    "format_bytes",
    "make_policy",
    "parse_bytes",
    "perplexity",
    "spherical_kmeans",
]
