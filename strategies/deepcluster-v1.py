"""DeepCluster (Caron et al. 2018, arXiv:1807.05520): classify an image's cluster, drawn anew each epoch."""

from functools import partial

from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipe import Recipe

recipe = Recipe(partial(DeepCluster, version=1, heads=1))
