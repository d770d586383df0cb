"""Supervised cross-entropy, a reference that READS LABELS: same encoder, loop and probes, not self-supervised.

    avalanche-ssl run --strategy supervised

Measured on split-digits, mean of three seeds: `all` accuracy from 43.1 ± 1.8 % untrained to 27.8 ± 1.7 %.

Trained on one class at a time, an encoder forgets whatever its loss does not need: it ends below the untrained one.
`--experiences 5 --set lr=0.001` shows it learning and forgetting two classes at a time. A hidden layer before the
classifier (`hidden_dim=256`) changes nothing here.

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
    weight_decay=1e-4,
)
