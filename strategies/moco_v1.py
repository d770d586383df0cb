"""MoCo v1 (He et al. 2020, arXiv:1911.05722): a queue of slowly encoded keys, a linear head.

python benchmarks/run.py --strategy moco_v1

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 68.6 ± 1.5 %.

Adam, where the paper has SGD: a short stream gives some hundred steps, too few for it. Queue and momentum are those of
`moco`, for the same reason. The linear head ends in batch norm, which the paper has not: without it three seeds gained
11.6, 11.7 and 3.7 points, with it 27.3, 24.1 and 24.0. Temperature 0.1 instead of 0.07.
Views are mild crops with the hue turned freely: digits and photographs here have any colour, and a method that may tell
images by it learns little else.
"""

from functools import partial

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        MoCo,
        hidden_dim=0,
        head_norm=True,
        queue_size=1024,
        momentum=0.9,
        temperature=0.1,
        augment=RandomView(scale=(0.5, 1.0), hue=0.5),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=12,
)
