from avalanche_ssl.methods import CPC
from avalanche_ssl.recipe import Recipe

recipe = Recipe(CPC)
