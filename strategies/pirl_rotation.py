"""PIRL, rotation (Misra & van der Maaten 2020, arXiv:1912.01991): an image agrees with its rotated version.

    avalanche-ssl run --strategy pirl_rotation

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 83.9 ± 0.8 %.

Otherwise as `pirl`, for the same reasons.

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
        pretext="rotation",
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
