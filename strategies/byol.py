"""BYOL (Grill et al. 2020, arXiv:2006.07733): predict the slow network's view of the same image.

python benchmarks/run.py --strategy byol

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 58.6 ± 1.0 %.

Adam, where the paper has LARS, and batches of 32: a short stream gives some hundred steps, too few for LARS. For the
same reason batch norm at the end of the projection, a narrow predictor and no solarised views; the slow copy's
momentum is 0.99 and constant, since the paper's schedule would freeze it after the first experience. Views are mild
crops with the hue turned freely: digits and photographs here have any colour, and a method that may tell images by it
learns little else.
"""

from functools import partial

from avalanche_ssl.methods import BYOL
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(BYOL, hidden_dim=256, head_norm=True, solarize_prob=0.0, augment=RandomView(scale=(0.5, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.001,
    batch_size=32,
    epochs=8,
)
