"""Draft. SwAV with multi-crop (arXiv:2006.09882, sec. 3.2): small crops predict large ones' codes.

python benchmarks/run.py --strategy swav-multicrop

Two crops of 32x32 and four of 16x16, where the paper has two of 224 and six of 96; else as `swav`.
"""

from functools import partial

from avalanche_ssl.augment import Augment
from avalanche_ssl.methods import SwAV
from avalanche_ssl.recipe import Recipe

recipe = Recipe(
    partial(SwAV, small_crops=4, small_scale=(0.2, 0.5), augment=Augment(scale=(0.5, 1.0))),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=6,
)
