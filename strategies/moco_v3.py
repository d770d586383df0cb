"""MoCo v3 (Chen et al. 2021, arXiv:2104.02057): keys of the batch instead of a queue, and a predictor.

    avalanche-ssl run --strategy moco_v3

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 63.1 ± 0.8 %.

Adam, where the paper has LARS for ResNets and AdamW for ViT: a short stream has a few hundred steps, too few for LARS.
For the same reason the momentum encoder follows within ten steps. Views are mild crops with any shift of the hue:
digits and photographs here have random colors, and a method that can identify images by color learns little else.
"""

from functools import partial

from avalanche_ssl.methods import MoCoV3
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(MoCoV3, momentum=0.9, augment=RandomView(scale=(0.5, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=8,
)
