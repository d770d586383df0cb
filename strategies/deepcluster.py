"""DeepCluster v2 (arXiv:1807.05520; arXiv:2006.09882, appendix D): predict an image's cluster from two views."""

from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipe import Recipe

recipe = Recipe(DeepCluster)
