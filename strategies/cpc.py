"""CPC v1 (van den Oord et al. 2018, arXiv:1807.03748): rows of patches are predicted from the rows above.

    avalanche-ssl run --strategy cpc

Measured on split-digits, mean of three seeds: `all` accuracy from 37.2 ± 2.5 % untrained to 53.3 ± 2.8 %.

Adam, as in the paper, with a larger learning rate for the few steps of a short stream. A narrow context network and
few drawn candidates, where the paper compares with all positions, keep a step affordable on a CPU. Layer norm is from
v2.

Views are mild crops, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import CPC
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(CPC, hidden_dim=64, blocks=3, count=512, augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.1)),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=4,
    weight_decay=0.0,
)
