"""DeepCluster v1 (Caron et al. 2018, arXiv:1807.05520): classify an image's cluster, recomputed each epoch.

    avalanche-ssl run --strategy deepcluster_v1

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 67.3 ± 2.4 %.

Two hidden layers follow the encoder before clustering, as in the paper. Adam instead of the paper's SGD: a short
stream has a few hundred steps. Three clusterings instead of one of 10,000 clusters, and a classifier that is kept,
since a few epochs are too few to retrain it in each.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import DeepCluster
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        DeepCluster,
        version=1,
        heads=3,
        hidden_dim=256,
        redraw=False,
        clusters=64,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=8,
    weight_decay=1e-5,
)
