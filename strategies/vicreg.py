"""VICReg (Bardes et al. 2022, arXiv:2105.04906): views agree, dimensions vary, and no two vary together.

    avalanche-ssl run --strategy vicreg

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 80.0 ± 2.0 %.

Adam, where the paper has LARS: a short stream has a few hundred steps, too few for it. An expander of 256 dimensions
instead of 8,192.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import VICReg
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(VICReg, output_dim=256, covariance=4, augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5)),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=6,
    weight_decay=1e-6,
)
