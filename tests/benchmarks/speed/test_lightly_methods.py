"""Methods from lightly's parts."""

import pytest
import torch
from torch import nn

pytest.importorskip("lightly", reason="an optional dependency")

from PIL import Image
from speed.lightly_methods import MODELS
from speed.peers import SETTINGS


@pytest.mark.parametrize("name", [*SETTINGS])
def test_the_loss_of_a_batch_reaches_the_backbone(name):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 8))
    network, transform = MODELS[name]
    views = [
        torch.stack(pair) for pair in zip(*(transform(16)(Image.new("RGB", (16, 16), (9, i, 7))) for i in range(8)))
    ]
    assert len(views) == 2 and views[0].shape == (8, 3, 16, 16)
    network(backbone, 8)(views).backward()
    assert backbone[1].weight.grad.abs().sum() > 0
