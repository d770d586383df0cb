"""MoCo v2, symmetric (arXiv:1911.05722, the authors' CIFAR-10 demo): each view is a query and a key.

    avalanche-ssl run --strategy moco_symmetric

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 71.5 ± 1.5 %.

Otherwise as `moco`, for the same reasons; batch norm in groups, as in the demo.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        MoCo,
        symmetric=True,
        split_norm=True,
        head_norm=True,
        queue_size=1024,
        temperature=0.2,
        momentum=0.99,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=6,
    weight_decay=1e-4,
)
