"""MoCo v1 (He et al. 2020, arXiv:1911.05722): a queue of momentum-encoded keys, a linear head.

    avalanche-ssl run --strategy moco_v1

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 68.6 ± 1.5 %.

Adam, where the paper has SGD: a short stream has a few hundred steps, too few for it. Queue and momentum as in `moco`,
for the same reason. The linear head ends in batch norm, which the paper does not have: three seeds gained 11.6, 11.7
and 3.7 points without it, and 27.3, 24.1 and 24.0 with it. Temperature 0.1 instead of 0.07. Views are mild crops with
any shift of the hue: digits and photographs here have random colors, and a method that can identify images by color
learns little else.
"""

from functools import partial

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        MoCo,
        hidden_dim=0,
        head_norm=True,
        queue_size=1024,
        momentum=0.9,
        temperature=0.1,
        augment=RandomView(scale=(0.5, 1.0), hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=12,
)
