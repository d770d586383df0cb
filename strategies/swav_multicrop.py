"""SwAV with multi-crop (arXiv:2006.09882, sec. 3.2): small crops predict the codes of large ones.

    avalanche-ssl run --strategy swav_multicrop

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 68.3 ± 0.9 %.

Two crops of 32x32 and two of 24x24, where the paper has two of 224 and six of 96: a digit fills half of an image, and
crops of 16x16, or of less than a third of the area, show none. Otherwise as `swav`.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import SwAV
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        SwAV,
        small_crops=2,
        small_size=24,
        small_scale=(0.3, 0.8),
        prototypes=128,
        freeze=100,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=6,
    weight_decay=1e-6,
)
