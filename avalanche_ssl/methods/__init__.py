"""Self-supervised methods, one file each, and their base class."""

from avalanche_ssl.methods.barlow_twins import BarlowTwins
from avalanche_ssl.methods.base import ClusterAssignment, ContrastiveScores, Family, Method, Outputs, Views
from avalanche_ssl.methods.byol import BYOL
from avalanche_ssl.methods.cmc import CMC
from avalanche_ssl.methods.cpc import CPC
from avalanche_ssl.methods.deepcluster import DeepCluster
from avalanche_ssl.methods.moco import MoCo
from avalanche_ssl.methods.moco_v3 import MoCoV3
from avalanche_ssl.methods.momentum import MomentumMethod
from avalanche_ssl.methods.pirl import PIRL
from avalanche_ssl.methods.simclr import SimCLR
from avalanche_ssl.methods.simsiam import SimSiam
from avalanche_ssl.methods.supervised import Supervised
from avalanche_ssl.methods.swav import SwAV
from avalanche_ssl.methods.trial import batch_shape, channels_of, check_channels, trial_mode, try_images
from avalanche_ssl.methods.vicreg import VICReg

__all__ = [
    "BYOL",
    "CMC",
    "CPC",
    "PIRL",
    "BarlowTwins",
    "ClusterAssignment",
    "ContrastiveScores",
    "DeepCluster",
    "Family",
    "Method",
    "MoCo",
    "MoCoV3",
    "MomentumMethod",
    "Outputs",
    "SimCLR",
    "SimSiam",
    "Supervised",
    "SwAV",
    "VICReg",
    "Views",
    "batch_shape",
    "channels_of",
    "check_channels",
    "trial_mode",
    "try_images",
]
