"""Small methods, and single training steps of them."""

from functools import partial

import torch

from avalanche_ssl.methods import (
    BYOL,
    CMC,
    CPC,
    PIRL,
    BarlowTwins,
    DeepCluster,
    MoCo,
    MoCoV3,
    SimCLR,
    SimSiam,
    Supervised,
    SwAV,
    VICReg,
)
from avalanche_ssl.models import smallconv
from avalanche_ssl.transforms import RandomView

narrow = partial(smallconv, width=8)
GENTLE = RandomView(scale=(0.7, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)
NO_AUGMENT = RandomView(scale=(1, 1), ratio=(1, 1), hflip_prob=0, jitter_prob=0, gray_prob=0)

SMALL = {
    BYOL: {"output_dim": 16, "hidden_dim": 32},
    BarlowTwins: {"output_dim": 16},
    CMC: {"output_dim": 16, "capacity": 32, "count": 32},
    CPC: {"output_dim": 16, "hidden_dim": 16},
    DeepCluster: {"output_dim": 16, "clusters": 4, "heads": 3, "capacity": 64},
    MoCo: {"output_dim": 16, "queue_size": 24, "momentum": 0.9},
    MoCoV3: {"output_dim": 16, "hidden_dim": 32},
    PIRL: {"output_dim": 16, "capacity": 32, "count": 32},
    SimCLR: {"output_dim": 16},
    SimSiam: {"output_dim": 16, "hidden_dim": 8},
    Supervised: {"classes": 4},
    SwAV: {"output_dim": 16, "prototypes": 12, "small_size": 16, "freeze": 0},
    VICReg: {"output_dim": 16},
}
"""Small settings of each method."""


def make(cls, **settings):
    """A small method with weights and generator of seed 0."""
    torch.manual_seed(0)
    return seeded(cls(narrow, **SMALL[cls] | settings))


def seeded(method, seed=0):
    """The method itself, its generator at a seed."""
    method.generator = torch.Generator().manual_seed(seed)
    return method


def detached(outputs):
    """The outputs without gradient."""
    return {name: rows.detach() for name, rows in outputs.items()}


def step(method, images, optimizer):
    """Make one training step; returns the detached outputs and the loss."""
    outputs = method(images)
    loss = method.loss(outputs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    method.update(detached(outputs))
    return detached(outputs), loss.item()


def sgd(method, lr=0.05, **settings):
    """SGD with momentum for the trainable parameters."""
    return torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=lr, momentum=0.9, **settings)
