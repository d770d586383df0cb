"""Draft. DeepCluster (Caron et al. 2018, arXiv:1807.05520): classify an image's cluster, drawn anew each epoch.

python benchmarks/run.py --strategy deepcluster-v1

Adam, where the paper has SGD: a short stream gives some hundred steps. 64 clusters, not 10,000, and no Sobel filter.
"""

from functools import partial

from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipe import Recipe

recipe = Recipe(partial(DeepCluster, version=1, heads=1, clusters=64), optimizer="adam", lr=0.003, batch_size=64)
