"""Counters of plugins that are read in every step stay on the CPU."""

import pytest
import torch
from helpers.encoders import tiny
from helpers.strategies import make
from torch import nn

from avalanche_ssl.methods import SimCLR
from avalanche_ssl.plugins import PFR, Anchor, CaSSLe, GradientBalance, Replay, Teacher
from avalanche_ssl.plugins.host_counters import HostCounters


class Counting(HostCounters):
    on_host = ("steps", "absent")

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.tensor(3))
        self.register_buffer("mean", torch.zeros(2))
        self.layer = nn.Linear(2, 2)


def test_they_stay_where_they_are_and_all_else_moves():
    module = Counting().to("meta").double()
    assert module.steps.device.type == "cpu" and int(module.steps) == 3
    assert module.mean.device.type == module.layer.weight.device.type == "meta"
    assert module.mean.dtype == torch.float64


def test_a_state_is_loaded_into_them():
    module = Counting().to("meta")
    module.load_state_dict({"steps": torch.tensor(5)}, strict=False)
    assert int(module.steps) == 5 and set(module.state_dict()) == set(Counting().state_dict())


@pytest.mark.parametrize("plugin", [CaSSLe(), PFR(), Replay(size=8), Anchor("si")], ids=lambda p: type(p).__name__)
def test_what_plugins_read_in_every_step_is_on_the_cpu(plugin):
    torch.manual_seed(0)
    make(SimCLR(tiny, output_dim=8), plugins=[plugin], evaluator=None)
    plugin.to("meta")
    read = {"under_way", "gradients.steps", "teacher.taken", "entered", "boundaries", "steps"}
    found = {name: buffer.device.type for name, buffer in plugin.named_buffers() if name in read}
    assert {"under_way", "gradients.steps"} < found.keys() and set(found.values()) == {"cpu"}
    assert plugin.gradients.norms.device.type == "meta"


def test_teachers_and_balances_are_such_modules():
    assert Teacher.on_host == ("taken",) and GradientBalance.on_host == ("steps", "age", "settled")
