"""Batch norm over the images of all processes, against one process in float64."""

import pytest
import torch
from helpers.several import spawned
from helpers.several_work import passed, passes
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from avalanche_ssl.distributed import Share, sharing


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_normalize_as_one(tmp_path, count):
    for found in spawned(passes, count, tmp_path):
        for (name, views, layout), several in found.items():
            for mine, one in zip(several, passed(name, None, views), strict=True):
                assert_close(mine, one, rtol=1e-11, atol=1e-11, msg=f"{name}, {views} views, {layout}")


def test_outside_of_a_share_and_in_evaluation_layers_are_as_ever():
    layer, x = nn.BatchNorm2d(4), torch.randn(6, 4, 3, 3)
    with sharing(None):
        assert torch.equal(layer(x), F.batch_norm(x, None, None, layer.weight, layer.bias, True))
    layer.eval()
    with sharing(Share((6,), 0, 2)):  # no process is there to ask
        assert torch.equal(layer(x), F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias))
