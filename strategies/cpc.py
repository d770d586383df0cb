"""CPC v1 (van den Oord et al. 2018, arXiv:1807.03748): rows of patches are predicted from the rows above.

    avalanche-ssl run --strategy cpc

Measured on split-digits, mean of three seeds: `all` accuracy from 36.0 % untrained to 50.6 ± 2.2 %.

Adam, as in the paper, with a larger learning rate for the few steps of a short stream. A narrow context network and 512
drawn candidates, where the paper compares with all positions, keep a step affordable on a CPU. Layer norm is from v2.
Views are mild crops with any shift of the hue: digits and photographs here have random colors, and a method that can
identify images by color learns little else.
"""

from functools import partial

from avalanche_ssl.methods import CPC
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(CPC, hidden_dim=64, blocks=3, count=512, augment=RandomView(scale=(0.5, 1.0), hue=0.5)),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=3,
)
