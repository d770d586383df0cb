"""Draft. Barlow Twins (Zbontar et al. 2021, arXiv:2103.03230): two views' dimensions correlate one to one.

python benchmarks/run.py --strategy barlow

Adam, where the paper has LARS: a short stream gives some hundred steps, too few for it.
"""

from avalanche_ssl.methods import BarlowTwins
from avalanche_ssl.recipe import Recipe

recipe = Recipe(BarlowTwins, optimizer="adam", lr=0.003, batch_size=64)
