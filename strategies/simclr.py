"""SimCLR (Chen et al. 2020, arXiv:2002.05709): two random views agree, the rest of the batch repels."""

from avalanche_ssl.methods import SimCLR
from avalanche_ssl.recipe import Recipe

recipe = Recipe(SimCLR)
