"""SimSiam (Chen & He 2021, arXiv:2011.10566): BYOL without a slow network, the gradient stopped instead.

python benchmarks/run.py --strategy simsiam

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 56.1 ± 2.8 %.

Adam, where the paper has SGD: a short stream gives some hundred steps, too few for it. Batches of 32 with half the
learning rate of other recipes gained 7.7 points in six passes where 64 with lr 0.001 gained 2.4 (seed 9). Views are
mild crops with the hue turned freely: digits and photographs here have any colour, and a method that may tell images
by it learns little else.
"""

from functools import partial

from avalanche_ssl.methods import SimSiam
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(SimSiam, augment=RandomView(scale=(0.5, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.0005,
    batch_size=32,
    epochs=9,
)
