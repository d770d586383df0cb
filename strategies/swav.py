"""SwAV (Caron et al. 2020, arXiv:2006.09882) with two crops: predict the other crop's balanced cluster."""

from avalanche_ssl.methods import SwAV
from avalanche_ssl.recipe import Recipe

recipe = Recipe(SwAV)
