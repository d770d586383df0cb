"""SimSiam (Chen & He 2021, arXiv:2011.10566): BYOL with a stopped gradient instead of a momentum encoder.

    avalanche-ssl run --strategy simsiam

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 58.9 ± 2.5 %.

Adam, where the paper has SGD: a short stream has a few hundred steps, too few for it.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import SimSiam
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(SimSiam, augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5)),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=6,
    weight_decay=1e-4,
)
