"""Draft. BYOL (Grill et al. 2020, arXiv:2006.07733): predict the slow network's view of the same image.

python benchmarks/run.py --strategy byol

Adam, where the paper has LARS: a short stream gives some hundred steps, too few for it. The slow copy's momentum is
constant, since the paper's schedule would freeze it after the first experience.
"""

from avalanche_ssl.methods import BYOL
from avalanche_ssl.recipe import Recipe

recipe = Recipe(BYOL, optimizer="adam", lr=0.003, batch_size=64)
