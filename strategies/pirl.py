"""Draft. PIRL, jigsaw (Misra & van der Maaten 2020, arXiv:1912.01991): an image agrees with its shuffled patches.

python benchmarks/run.py --strategy pirl

Adam, where the paper has SGD: a short stream gives some hundred steps, too few for it. For the same reason heads with
a hidden layer and batch norm, 1,024 negatives, InfoNCE and milder crops; `objective=paper` is eq. 5 to the letter.
"""

from functools import partial

from avalanche_ssl.augment import Augment
from avalanche_ssl.methods import PIRL
from avalanche_ssl.recipe import Recipe

recipe = Recipe(
    partial(PIRL, hidden=256, head_norm=True, temperature=0.1, count=1024, augment=Augment(scale=(0.5, 1.0))),
    optimizer="adam",
    lr=0.001,
    batch_size=64,
    epochs=6,
)
