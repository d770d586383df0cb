"""CMC with the memory bank (Tian et al. 2020, arXiv:1906.05849 sec. 3.3): negatives from all images seen.

    avalanche-ssl run --strategy cmc_bank

Measured on split-digits, mean of three seeds: `all` accuracy from 46.2 ± 0.8 % untrained to 65.4 ± 1.4 %.

It trains more slowly than `cmc`, which contrasts within the batch, probably because an anchor is compared with its
image's row of the other view, written an epoch ago from another crop, and only the anchor's encoder gets a gradient:
each encoder follows a past state of the other. More epochs help (the paper has 240). Batch norm at the end of the
heads is not in the paper, and makes no difference on validation digits (51.1 %, 53.3 without). Crops are mild and not
mirrored, since digits are not symmetric.

2,048 rows are about three experiences. Where an experience has more images give a row to each (`--set capacity=8192`):
on all classes at once 2,048 rows end at 36.7 %, below the untrained encoder, 8,192 at 59.7.
"""

from functools import partial

from avalanche_ssl.methods import CMC
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        CMC,
        head_norm=True,
        count=1024,
        capacity=2048,
        temperature=0.2,
        hidden_dim=256,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, jitter_prob=0.0, gray_prob=0.0),
    ),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=24,
    weight_decay=1e-4,
)
