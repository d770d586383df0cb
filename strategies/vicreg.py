"""VICReg (Bardes et al. 2022, arXiv:2105.04906): views agree, dimensions vary, and no two vary together.

    avalanche-ssl run --strategy vicreg

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 63.0 ± 1.6 %.

Adam, where the paper has LARS: a short stream has a few hundred steps, too few for it. Views are mild crops with any
shift of the hue: digits and photographs here have random colors, and a method that can identify images by color learns
little else.
"""

from functools import partial

from avalanche_ssl.methods import VICReg
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(VICReg, output_dim=256, augment=RandomView(scale=(0.5, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=8,
)
