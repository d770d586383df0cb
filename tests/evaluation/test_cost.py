"""The cost of training, counted by hand."""

import pytest
import torch
from avalanche.training.plugins import ReplayPlugin
from helpers.encoders import tiny

from avalanche_ssl.evaluation.cost import training_cost, views_per_image
from avalanche_ssl.methods import CMC, CPC, MoCo, SimCLR
from avalanche_ssl.training import SelfSupervised


def test_views_are_counted_and_nothing_is_drawn():
    x = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    before = torch.get_rng_state()
    assert views_per_image(SimCLR(tiny), x) == 2
    assert views_per_image(CMC(tiny), x) == 2  # lightness and color; the identities are no view
    method = CPC(tiny)
    patches = method.views(x)["patches"]
    torch.set_rng_state(before)
    assert views_per_image(method, x) == patches.shape[1] * patches.shape[2]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [0, 30])
def test_what_is_remembered_is_queue_momentum_encoder_statistics_and_replayed_pixels(digits, size):
    model = MoCo(tiny, output_dim=8, queue_size=16)
    replay = [ReplayPlugin(mem_size=size)] if size else []
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    strategy = SelfSupervised(model=model, optimizer=optimizer, plugins=replay)
    for plugin in replay:
        plugin.storage_policy.post_adapt(strategy, digits.train_stream[0])
    found = training_cost(strategy, torch.zeros(2, 3, 32, 32, dtype=torch.uint8), images=100, steps=7)
    everything = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert found == {
        "views": 200,
        "steps": 7,
        "parameters": trained,
        "bytes_remembered": everything - 4 * trained + size * 3 * 32 * 32,
        "teacher_views": 0,
        "plugin_parameters": 0,
        "teacher_bytes": 0,
        "image_bytes": size * 3 * 32 * 32,
    }
