"""MoCo v2, symmetric (arXiv:1911.05722, the authors' CIFAR-10 demo): each view is a query and a key.

    avalanche-ssl run --strategy moco_symmetric

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 64.9 ± 0.8 %.

Settings as in `moco`, for the same reasons; batch norm in groups, as in the demo. Views are mild crops with any shift
of the hue: digits and photographs here have random colors, and a method that can identify images by color learns little
else.
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
        momentum=0.9,
        augment=RandomView(scale=(0.5, 1.0), hue=0.5),
    ),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=7,
)
