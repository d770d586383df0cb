"""MoCo v3 (Chen et al. 2021, arXiv:2104.02057): keys of the batch instead of a queue, and a predictor.

    avalanche-ssl run --strategy moco_v3

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 69.2 ± 1.6 %.

Adam, where the paper has LARS for ResNets and AdamW for ViT: a short stream has a few hundred steps, too few for
LARS. For the same reason the momentum encoder follows fast.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import MoCoV3
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(MoCoV3, temperature=0.2, momentum=0.9, augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5)),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=6,
    weight_decay=1e-6,
)
