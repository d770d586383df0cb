"""MoCo v1 (He et al. 2020, arXiv:1911.05722): a queue of momentum-encoded keys, a linear head.

    avalanche-ssl run --strategy moco_v1

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 75.5 ± 1.9 %.

Adam, where the paper has SGD: a short stream has a few hundred steps, too few for it. Queue as in `moco`, and batch
statistics, too. The linear head ends in batch norm, which the paper does not have: without it 52.6 % on validation
digits, with it 61.4.

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
        hidden_dim=0,
        head_norm=True,
        queue_size=1024,
        momentum=0.9,
        temperature=0.2,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=8,
    weight_decay=1e-4,
)
