"""DeepCluster v2 (arXiv:1807.05520; 2006.09882, appendix D): predict an image's cluster from two views.

    avalanche-ssl run --strategy deepcluster

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 65.4 ± 4.5 %.

Adam, where the paper has LARS: a short stream has a few hundred steps, too few for it. A few clusters instead of
3,000. An experience is embedded before each of its epochs; `reembed=false` reuses the rows of the last epoch, as the
paper does.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(DeepCluster, clusters=64, augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5)),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=8,
    weight_decay=1e-6,
)
