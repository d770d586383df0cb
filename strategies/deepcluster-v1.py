"""Draft. DeepCluster v1 (Caron et al. 2018, arXiv:1807.05520): classify an image's cluster, found anew each epoch.

python benchmarks/run.py --strategy deepcluster-v1

Measured on split-digits, seed 0: `all` accuracy from 42.6 % untrained to 48.8 %. Why no more: its clusters are of
backgrounds. From the untrained encoder to the end the normalised mutual information of 64 clusters of test images with
their digit stays at 0.05; with the dominant colour, which the views turn, it falls from 0.23 to 0.10; with the
photograph behind the digit it rises from 0.11 to 0.27, and a classifier of such clusters has no reason to look at the
digit. On Sobel derivatives, as in the paper, it went from 53.7 to 52.3 % (`filtered`, seed 9). `deepcluster`, version
2, gains.

Adam, where the paper has SGD: a short stream gives some hundred steps. 64 clusters, not 10,000, three times, and a
classifier that is kept, since twelve epochs are too few to learn it anew in each.
"""

from functools import partial

from avalanche_ssl.augment import Augment
from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipe import Recipe

recipe = Recipe(
    partial(DeepCluster, version=1, heads=3, clusters=64, redraw=False, augment=Augment(scale=(0.3, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.0005,
    batch_size=32,
    epochs=12,
)
