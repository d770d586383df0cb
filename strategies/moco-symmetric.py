"""Draft. MoCo v2, symmetric (arXiv:1911.05722, the authors' CIFAR-10 demo): each view is query and key.

python benchmarks/run.py --strategy moco-symmetric

Adam, where the demo has SGD: a short stream gives some hundred steps, too few for it.
"""

from functools import partial

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipe import Recipe

recipe = Recipe(partial(MoCo, symmetric=True, split_norm=True), optimizer="adam", lr=0.003, batch_size=64)
