"""Encoders of a method are found, and what they give is kept while they are watched, no longer."""

import copy

import torch
from helpers.encoders import tiny

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.methods import CMC, SimCLR
from avalanche_ssl.models import Encoder
from avalanche_ssl.plugins.encoder_calls import Watch, encoders


def test_an_encoder_that_is_no_encoder_of_ours_is_watched_as_a_whole():
    method = SimCLR(tiny, output_dim=8)
    assert [type(e) for e in encoders(method)] == [Encoder]
    method.encoder = method.encoder.stages
    assert encoders(method) == [method.encoder]


def test_calls_are_kept_in_their_order_with_the_number_of_the_encoder():
    method = CMC(tiny, negatives="batch", output_dim=8)
    networks = encoders(method)
    with Watch(networks) as watch:
        views = method.views(textured(4))
        method.embed(views)
        copied = copy.deepcopy(watch)
    calls = watch.take()
    assert [number for number, _ in calls] == [0, 1]
    with torch.no_grad():
        method.embed(views)  # is not watched any more
    assert watch.take() == [] == copied.take()
    assert all(h.dtype == torch.float32 and h.shape == (4, networks[n].out_features) for n, h in calls)
    assert not any(module._forward_hooks for module in method.modules())
