"""CPC v2 (Henaff et al. 2020, arXiv:1905.09272): patches are predicted from four sides, with dropped colors.

    avalanche-ssl run --strategy cpc_v2

Measured on split-digits, mean of three seeds: `all` accuracy from 37.2 ± 2.5 % untrained to 75.9 ± 1.1 %.

Settings as in `cpc`, for the same reasons. `patch_augment` would also crop and color each patch separately, at half
the speed.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import CPC
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        CPC,
        directions=4,
        color_drop=0.5,
        hidden_dim=64,
        blocks=3,
        count=512,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=2,
    weight_decay=0.0,
)
