"""Supervised cross-entropy, a reference that READS LABELS: same encoder, loop and probes, not self-supervised.

    avalanche-ssl run --strategy supervised

Figures are in strategies/README.md.

Trained on one class at a time, an encoder forgets whatever does not separate it from nothing: it ends below the
untrained one. `--experiences 5` shows learning and forgetting of two classes at a time.

Views are mild crops that shift the hue by any amount, since an image has two random colors that all its views would
share, and are not mirrored, since digits are not symmetric.
"""

from functools import partial

from avalanche_ssl.methods import Supervised
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.transforms import RandomView

recipe = Recipe(
    partial(
        Supervised,
        hidden_dim=0,
        augment=RandomView(scale=(0.5, 1.0), hflip_prob=0.0, jitter_prob=0.4, gray_prob=0.0, hue=0.5),
    ),
    optimizer="adam",
    lr=0.0003,
    batch_size=64,
    epochs=6,
    weight_decay=0.0001,
)
