"""Faults that code for several processes has had in public, each with the cases that must notice it."""

from __future__ import annotations

import pytest
import torch

from avalanche_ssl import distributed
from avalanche_ssl.distributed import batch_norm, gathering, share
from avalanche_ssl.training.strategy import SelfSupervised
from helpers.several import cases, trace

SABOTAGES = {}


def sabotage(*names):
    """Decorate a fault, with the cases that must notice it."""

    def add(function):
        SABOTAGES[function.__name__] = (function, names)
        return function

    return add


@sabotage("simclr", "barlow_twins", "byol")
def gradient_of_the_own_rows_only(patch):
    def backward(ctx, gradient):
        return ctx.share.keep(gradient), None

    patch.setattr(gathering._Gather, "backward", staticmethod(backward))


@sabotage("swav, unfrozen, queue", "ewc")
def gradients_summed_over_processes(patch):
    average = gathering.average

    def summed(tensors):
        average(tensors)
        for tensor in tensors:
            tensor.mul_(distributed.size())

    def backward(ctx, gradient):
        return ctx.share.keep(gradient), None  # so that the encoder's gradient is right

    patch.setattr(gathering, "average", summed)
    patch.setattr(gathering._Gather, "backward", staticmethod(backward))


@sabotage("simclr", "barlow_twins")
def loss_of_the_own_share(patch):
    """SimCLR gathered outside its loss (solo-learn #253), Barlow Twins' statistics of the share (lightly #1977)."""
    patch.setattr(SelfSupervised, "embed", _embed_share)


def _embed_share(self, network, rows=slice(None)):
    with distributed.sharing(self.share):
        return network(self.mb_views)


@sabotage("simclr", "pirl")
def batch_norm_of_the_share(patch):
    patch.setattr(
        batch_norm._SharedStatistics, "__torch_function__", lambda self, f, t, a=(), k=None: f(*a, **(k or {}))
    )


@sabotage("simclr", "pirl", "cpc_v2")
def draws_of_the_share(patch):
    from avalanche_ssl import rng

    patch.setattr(rng, "present", lambda: None)


@sabotage("simclr", "moco", "pirl, bank")
def rows_in_the_order_of_processes(patch):
    """Positives and negatives that are not where the loss looks for them (Spijkervet/SimCLR #30, #37)."""
    patch.setattr(share.Share, "joined", lambda self, rows: torch.cat(list(rows)).flip(0))


@sabotage("moco", "swav, unfrozen, queue", "cmc_bank")
def memory_of_the_own_rows_only(patch):
    """A queue that each process fills with its own rows (solo-learn #229)."""
    after = SelfSupervised._after_update

    def own(self, **kwargs):
        whole = self.mb_output
        self.mb_output = {k: self.share.keep(v) for k, v in whole.items()}
        self.n_new, kept = len(self.share.rows), self.n_new
        after(self, **kwargs)
        self.mb_output, self.n_new = whole, kept

    patch.setattr(SelfSupervised, "_after_update", own)


@sabotage("simclr", "vicreg")
def gradients_of_the_own_process(patch):
    patch.setattr(gathering, "average", lambda tensors: None)


def sabotaged():
    """The traces of the cases under each sabotage."""
    made, found = cases(), {}
    for fault, (function, names) in SABOTAGES.items():
        with pytest.MonkeyPatch.context() as patch:
            function(patch)
            for name in names:
                try:
                    found[fault, name] = trace(made[name])
                except Exception as error:  # noticed, too
                    found[fault, name] = repr(error)
    return found
