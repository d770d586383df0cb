"""CMC (Tian et al. 2020, arXiv:1906.05849): lightness and color of an image, each with its own encoder, agree.

    avalanche-ssl run --strategy cmc

Measured on split-digits, mean of three seeds: `all` accuracy from 56.7 % untrained to 73.1 ± 2.4 %.

Negatives come from the batch: the rows of a bank are as old as the last epoch, and a short stream has few epochs
(`cmc_bank` is the paper's variant, with 45 of them). There is no color jitter and no gray view, as in the paper: the
color split is the augmentation. Adam instead of the paper's SGD for 240 epochs, because an experience here has some 300
steps.
"""

from functools import partial

from avalanche_ssl.methods import CMC
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        CMC, negatives="batch", hidden_dim=128, temperature=0.1, augment=RandomView(jitter_prob=0.0, gray_prob=0.0)
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=10,
)
