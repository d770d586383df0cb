"""SimCLR: its views, its loss, no memory."""

import torch
from helpers.methods import make

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.losses.contrastive import nt_xent
from avalanche_ssl.methods import SimCLR


def test_simclr_contrasts_its_two_views():
    method = make(SimCLR, temperature=0.3)
    outputs = method(textured(8))
    assert torch.equal(method.loss(outputs), nt_xent(outputs["first"], outputs["second"], 0.3))
    assert all(torch.allclose(rows.norm(dim=1), torch.ones(8)) for rows in outputs.values())


def test_simclr_embeds_both_views_in_one_forward():
    method, batches = make(SimCLR), []
    method.encoder.register_forward_hook(lambda module, inputs, features: batches.append(len(features)))
    method(textured(8))
    assert batches == [16]


def test_simclr_head_ends_in_batch_norm_without_a_shift():
    norm = make(SimCLR).projection_head[-1]
    assert isinstance(norm, torch.nn.BatchNorm1d) and norm.bias is None and norm.weight is not None


def test_simclr_remembers_nothing():
    norms = ("running_mean", "running_var", "num_batches_tracked")
    assert all(name.endswith(norms) for name, _ in make(SimCLR).named_buffers())
