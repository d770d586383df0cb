"""Draft. MoCo v1 (He et al. 2020, arXiv:1911.05722): a queue of slowly encoded keys, a linear head.

python benchmarks/run.py --strategy moco-v1

Adam, where the paper has SGD: a short stream gives some hundred steps, too few for it. Queue and momentum are those of
a short stream too, see `MoCo`; temperature 0.07 and the linear head are the paper's.
"""

from functools import partial

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipe import Recipe

recipe = Recipe(partial(MoCo, hidden=0, temperature=0.07), optimizer="adam", lr=0.003, batch_size=64)
