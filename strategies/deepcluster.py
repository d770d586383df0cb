"""DeepCluster v2 (arXiv:1807.05520; 2006.09882, appendix D): predict an image's cluster from two views.

    avalanche-ssl run --strategy deepcluster

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 59.7 ± 2.0 %.

Adam, where the paper has LARS: a short stream has a few hundred steps, too few for it. 64 clusters instead of 3,000.
Views are mild crops with any shift of the hue: digits and photographs here have random colors, and a method that can
identify images by color learns little else.
"""

from functools import partial

from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(DeepCluster, clusters=64, augment=RandomView(scale=(0.5, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=10,
)
