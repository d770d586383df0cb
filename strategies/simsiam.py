"""Draft. SimSiam (Chen & He 2021, arXiv:2011.10566): BYOL without a slow network, the gradient stopped instead.

python benchmarks/run.py --strategy simsiam

Adam, where the paper has SGD: a short stream gives some hundred steps, too few for it.
"""

from avalanche_ssl.methods import SimSiam
from avalanche_ssl.recipe import Recipe

recipe = Recipe(SimSiam, optimizer="adam", lr=0.003, batch_size=64)
