"""CMC with three views and the full graph (Tian et al. 2020, arXiv:1906.05849 sec. 3.4): every pair of views agrees.

    avalanche-ssl run --strategy cmc_full

Measured on split-digits, mean of three seeds: `all` accuracy from 57.6 ± 1.5 % untrained to 78.3 ± 0.8 %.

The third view, next to lightness and color, is edges, the gradients of lightness; the paper has depth and segments.
Otherwise as `cmc`, for the same reasons; `graph=core` contrasts lightness with each of the others only. Crops are
mild and not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import CMC
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        CMC,
        views=("l", "ab", "edges"),
        graph="full",
        negatives="batch",
        temperature=0.07,
        hidden_dim=256,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, jitter_prob=0.0, gray_prob=0.0),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=14,
    weight_decay=1e-4,
)
