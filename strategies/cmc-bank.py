"""Draft. CMC with the memory bank (Tian et al. 2020, arXiv:1906.05849 sec. 3.3): negatives from all images seen.

python benchmarks/run.py --strategy cmc-bank

Positives are the bank's row of the other view, an average over the visits of earlier epochs. Nine trials with other
settings (seed 0, untrained 57.4) ended between 48.4 and 59.2, below the untrained encoder in all but one; these very
settings have not been measured. `cmc` contrasts inside the batch.
"""

from functools import partial

from avalanche_ssl.augment import Augment
from avalanche_ssl.methods import CMC
from avalanche_ssl.recipe import Recipe

recipe = Recipe(
    partial(CMC, hidden=128, temperature=0.1, count=1024, augment=Augment(scale=(0.8, 1.0), jitter=0.0, gray=0.0)),
    optimizer="adam",
    lr=0.003,
    batch_size=64,
    epochs=10,
)
