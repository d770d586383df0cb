from avalanche_ssl.methods import PIRL
from avalanche_ssl.recipe import Recipe

recipe = Recipe(PIRL)
