"""MoCo v2 (He et al. 2020, arXiv:1911.05722; Chen et al. 2020, arXiv:2003.04297): a queue of momentum-encoded keys.

    avalanche-ssl run --strategy moco

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 61.7 ± 0.9 %.

For short streams: an experience here has some 350 steps, where the paper has millions. Hence Adam instead of SGD, a
queue of 1,024 keys (half an experience), a momentum encoder that follows within ten steps (momentum 0.9), batch norm in
the head, and milder crops.
"""

from functools import partial

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(MoCo, head_norm=True, queue_size=1024, momentum=0.9, temperature=0.1, augment=RandomView(scale=(0.5, 1.0))),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=12,
)
