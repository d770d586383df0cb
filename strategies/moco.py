"""MoCo v2 (He et al. 2020, arXiv:1911.05722; Chen et al. 2020, arXiv:2003.04297): a queue of momentum-encoded keys.

    avalanche-ssl run --strategy moco

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 72.6 ± 3.3 %.

For short streams: an experience here has some hundred steps, where the paper has millions. Hence Adam instead of SGD,
a queue of 1,024 keys, a fast momentum encoder, and batch norm in the head. Queries and keys take the statistics of
their whole batch, where the paper shuffles keys between GPUs so that statistics give nothing away: batch norm in
groups (`split_norm=true`) changes accuracy on validation digits by -5.3, +2.7 and -1.6 points in three seeds.

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
        head_norm=True,
        queue_size=1024,
        temperature=0.2,
        momentum=0.99,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=8,
    weight_decay=1e-4,
)
