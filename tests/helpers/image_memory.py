"""Images and features for memories of images, and what holds for every policy of one."""

import torch

from avalanche_ssl.memory import Climb

POLICY_NAMES = ["reservoir", "fifo", "class", "cluster", "minred", "climb"]


def small(policy):
    """The policy with a name, with settings that fit a small memory."""
    return Climb(short=6, long=4, examples=5, matches=6, novelty=0.7) if policy == "climb" else policy


def stream(n, dim=4, seed=0, dtype=torch.uint8):
    """Images (n, 3, 4, 4) that differ, features (n, dim) and labels (n,) of 3 classes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 3, 4, 4), generator=generator).to(dtype)
    images = images / 255 if dtype == torch.float32 else images
    return images, torch.randn(n, dim, generator=generator), torch.randint(3, (n,), generator=generator)


def numbers(buffer):
    """The numbers in the stream of the images held, sorted."""
    return sorted(buffer.born[buffer.held()].tolist())
