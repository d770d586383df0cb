"""Supervised cross-entropy, the reference that READS LABELS: same encoder, loop and probes, not self-supervised.

python benchmarks/run.py --strategy supervised

Measured on split-digits, mean of three seeds: `all` accuracy from 43.4 % untrained to 58.3 ± 4.5 %.

Learning two classes at a time, an encoder forgets what does not tell these two apart. A hidden layer between encoder
and classifier, as self-supervised methods have one, takes that upon itself (SL+MLP, Marczak et al. 2024,
arXiv:2311.13321), and a small step does the rest. Without both (`--set hidden=0 --set lr=0.001 --epochs 8`) it goes
from 42.6 % untrained to 69.7 % after the first two classes and ends at 37.7 % (seed 0). With all classes at once there
is nothing to forget, and this is the better choice: 96.3 %, where this recipe has 79.1 % (`--experiences 1`).

Adam as in the other recipes, for comparison. For a stream of more than 100 classes: --set classes=200.
"""

from functools import partial

from avalanche_ssl.methods import Supervised
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(Supervised, hidden_dim=256, augment=RandomView(scale=(0.5, 1.0), jitter_prob=0.4, hue=0.5, gray_prob=0.0)),
    optimizer="adam",
    lr=0.0003,
    batch_size=64,
    epochs=4,
)
