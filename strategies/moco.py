"""MoCo v2 (He et al. 2020, arXiv:1911.05722; Chen et al. 2020, arXiv:2003.04297): a queue of slowly encoded keys."""

from avalanche_ssl.methods import MoCo
from avalanche_ssl.recipe import Recipe

recipe = Recipe(MoCo)
