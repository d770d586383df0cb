"""Draft. Supervised cross-entropy, the reference that READS LABELS: same encoder, loop and probes, not self-supervised.

python benchmarks/run.py --strategy supervised

Adam as in the other recipes, for comparison. For a stream of more than 100 classes: --set classes=200.
"""

from avalanche_ssl.methods import Supervised
from avalanche_ssl.recipe import Recipe

recipe = Recipe(Supervised, optimizer="adam", lr=0.003, batch_size=64)
