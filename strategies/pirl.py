"""PIRL, jigsaw (Misra & van der Maaten 2020, arXiv:1912.01991): an image agrees with its shuffled patches.

    avalanche-ssl run --strategy pirl

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 81.5 ± 1.4 %.

The positive is the image's row in the memory bank, as in the paper; the negatives are the other images of the batch,
since rows of the bank are as old as an epoch. `negatives=bank objective=paper` is exactly eq. 5: 56.8 % on validation
digits, beside 76.1. Adam, where the paper has SGD: a short stream has a few hundred steps, too few for it. For the
same reason the heads have a hidden layer and batch norm.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import PIRL
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        PIRL,
        negatives="batch",
        hidden_dim=256,
        head_norm=True,
        temperature=0.2,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
        transform=RandomView(scale=(0.6, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=6,
    weight_decay=1e-4,
)
