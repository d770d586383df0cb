"""SwAV with multi-crop (Caron et al. 2020, arXiv:2006.09882, sec. 3.2): small crops predict the large ones' codes."""

from functools import partial

from avalanche_ssl.methods import SwAV
from avalanche_ssl.recipe import Recipe

recipe = Recipe(partial(SwAV, small_crops=4))
