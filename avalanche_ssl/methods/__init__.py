"""The methods, one file each."""

from avalanche_ssl.methods.cmc import CMC
from avalanche_ssl.methods.moco import MoCo
from avalanche_ssl.methods.simclr import SimCLR

__all__ = ["CMC", "MoCo", "SimCLR"]
