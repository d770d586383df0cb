"""CMC (Tian et al. 2020, arXiv:1906.05849): lightness and colour of an image, each with its encoder, agree."""

from avalanche_ssl.methods import CMC
from avalanche_ssl.recipe import Recipe

recipe = Recipe(CMC)
