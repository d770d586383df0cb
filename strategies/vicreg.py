"""Draft. VICReg (Bardes et al. 2022, arXiv:2105.04906): views agree, dimensions vary, and no two vary together.

python benchmarks/run.py --strategy vicreg

Adam, where the paper has LARS: a short stream gives some hundred steps, too few for it.
"""

from avalanche_ssl.methods import VICReg
from avalanche_ssl.recipe import Recipe

recipe = Recipe(VICReg, optimizer="adam", lr=0.003, batch_size=64)
