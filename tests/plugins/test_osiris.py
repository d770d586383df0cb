"""The three losses of Osiris by naive loops, its head, and the methods that it refuses."""

import math

import pytest
import torch
from helpers.methods import make as small
from helpers.resuming import assert_survives
from helpers.resuming import make as with_probe
from helpers.strategies import Spy, assert_same, make, state, train
from helpers.streams import array_stream

from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses import nt_xent
from avalanche_ssl.methods import CMC, CPC, PIRL, BarlowTwins, MoCo, MoCoV3, SimCLR
from avalanche_ssl.models import frozen_buffers
from avalanche_ssl.plugins import Osiris, Replay
from avalanche_ssl.plugins.osiris import cross_set_loss


@pytest.fixture(scope="module")
def stream():
    """Two experiences of 32 images."""
    return array_stream(3)


def strategy(method, osiris, *spies, **settings):
    plugins = [Replay(size=20, batch=4), osiris, *spies]
    return make(method, plugins=plugins, evaluator=None, **{"train_mb_size": 8} | settings)


def cmc():
    return small(CMC, negatives="batch")


def naive_cross(spaces, new, temperature):
    """Each view of each image, alone: the other view against every row of the other set in that view's space."""
    views = [(view, space) for space in spaces for view in space]
    sides = []
    for rows, others in ((range(new), range(new, len(views[0][0]))), (range(new, len(views[0][0])), range(new))):
        losses = []
        for i in rows:
            for a, (anchor, _) in enumerate(views):
                for b, (positive, space) in enumerate(views):
                    if a == b:
                        continue
                    key = math.exp(float(anchor[i] @ positive[i]) / temperature)
                    rest = sum(math.exp(float(anchor[i] @ view[j]) / temperature) for view in space for j in others)
                    losses.append(-math.log(key / (key + rest)))
        sides.append(sum(losses) / len(losses))
    return sum(sides) / 2


@pytest.mark.parametrize("split", [[2], [1, 1], [1, 1, 1]])
def test_cross_set_loss_is_that_of_loops(split):
    generator = torch.Generator().manual_seed(0)
    spaces = [[l2_normalize(torch.randn(7, 5, generator=generator)) for _ in range(n)] for n in split]
    assert float(cross_set_loss(spaces, 4, 0.5)) == pytest.approx(naive_cross(spaces, 4, 0.5), rel=1e-5)


def test_both_halves_of_the_loss(stream):
    """L(new) is the method's loss of the new rows; the term is recomputed from the encoder's features."""
    method, osiris, steps = small(SimCLR), Osiris(output_dim=6, hidden_dim=12, weight=2.0), []

    def compare(strategy):
        n = strategy.n_new
        if n == len(strategy.mb_x):
            assert osiris.loss is None and torch.equal(strategy.method_loss, method.loss(strategy.mb_output))
            return
        first, second = (strategy.mb_output[name] for name in ("first", "second"))
        torch.testing.assert_close(strategy.method_loss, nt_xent(first[:n], second[:n], method.temperature))
        with torch.no_grad(), frozen_buffers(method), frozen_buffers(osiris):
            features = method.encoder(torch.cat([strategy.mb_views["first"], strategy.mb_views["second"]]))
            a, b = l2_normalize(osiris.heads[0](features)).chunk(2)
        expected = (naive_cross([[a, b]], n, 0.1) + float(nt_xent(a[n:], b[n:], method.temperature))) / 2
        assert float(osiris.loss) == pytest.approx(expected, rel=1e-4)
        assert float(strategy.loss.detach()) == pytest.approx(float(strategy.method_loss.detach() + 2 * osiris.loss))
        steps.append(1)

    train(strategy(method, osiris, Spy(before_backward=compare)), stream)
    assert len(steps) == 7


@pytest.mark.parametrize("build", [lambda: small(SimCLR), cmc], ids=["SimCLR", "CMC in the batch"])
def test_the_head_is_learned_and_reaches_the_encoder(build, stream):
    """Every parameter of h is in one group of the optimizer, gets a gradient and moves; none stays random."""
    method, osiris = build(), Osiris()
    made = strategy(method, osiris)
    mine = list(osiris.heads.parameters())
    assert len(osiris.heads) == (1 if isinstance(method, SimCLR) else 2)
    groups = [id(p) for group in made.optimizer.param_groups for p in group["params"]]
    assert [groups.count(id(p)) for p in mine] == [1] * len(mine)
    before = [p.detach().clone() for p in mine]
    encoder, reached, term = list(method.encoder.parameters()), [], osiris.term

    def watched(strategy):
        value = term(strategy)
        if value is not None:
            gradients = torch.autograd.grad(value, [*encoder, *mine], retain_graph=True)
            reached.append(all(gradient.abs().sum() > 0 for gradient in gradients))
        return value

    osiris.term = watched
    train(made, stream)
    assert reached == [True] * 7
    assert not any(torch.equal(p, b) for p, b in zip(mine, before, strict=True))


def test_weight_0_is_the_loss_of_new_images(stream):
    """Then the head gets no gradient, and the run is that of a method whose loss sees the new rows alone."""
    method = small(SimCLR)
    without = small(SimCLR)
    current, loss = {}, without.loss
    without.loss = lambda outputs: loss({name: rows[: current["n"]] for name, rows in outputs.items()})
    spy = Spy(before_forward=lambda strategy: current.update(n=strategy.n_new))
    plain = make(without, plugins=[Replay(size=20, batch=4), spy], evaluator=None, train_mb_size=8)
    assert_same(state(train(plain, stream)), state(train(strategy(method, Osiris(weight=0.0)), stream)))


def test_encoders_have_no_hooks_between_steps(stream):
    method = cmc()
    hooks = []
    spy = Spy(before_backward=lambda s: hooks.append(sum(len(m._forward_hooks) for m in method.modules())))
    train(strategy(method, Osiris(), spy), stream)
    assert hooks == [0] * 8


def test_its_gradient_is_clipped_by_its_own_norm(stream):
    method, osiris, norms = small(SimCLR), Osiris(), []

    def norm(module):
        return float(torch.stack([p.grad.norm() for p in module.parameters() if p.grad is not None]).norm())

    spy = Spy(after_update=lambda s: norms.append((norm(method), norm(osiris))) if osiris.loss is not None else None)
    train(strategy(method, osiris, spy, max_grad_norm=1e-3), stream)
    assert norms == [(pytest.approx(1e-3, rel=1e-2), pytest.approx(1e-3, rel=1e-2))] * 7


def test_a_gradient_of_the_head_that_is_not_finite_skips_the_step(stream):
    method, osiris, weights = small(SimCLR), Osiris(), {}
    made = strategy(method, osiris, on_nan="skip")
    last = list(osiris.heads.parameters())[-1]
    calls = iter(range(99))
    last.register_hook(lambda gradient: gradient * math.nan if next(calls) == 1 else gradient)
    made.plugins.append(
        Spy(
            before_update=lambda s: weights.update(before=[p.clone() for p in method.parameters()]),
            after_update=lambda s: (
                weights.update(same=all(map(torch.equal, weights["before"], method.parameters())))
                if s.nonfinite_guard.skipping
                else None
            ),
        )
    )
    train(made, stream)
    assert made.nonfinite_guard.skipped == 1 and weights["same"]


@pytest.mark.parametrize("kind", [MoCo, MoCoV3, CMC, PIRL, CPC])
def test_what_compares_more_than_a_batch_is_refused(kind):
    message = rf"Osiris needs a method that compares the embeddings of a batch .* {kind.__name__} does not: use CLA"
    with pytest.raises(UsageError, match=message):
        strategy(small(kind), Osiris())


def test_other_methods_and_plugins_are_refused():
    message = "Osiris needs a contrastive method, and BarlowTwins is decorrelative: use CLA, or CaSSLe"
    with pytest.raises(UsageError, match=message):
        strategy(small(BarlowTwins), Osiris())
    with pytest.raises(UsageError, match="one Replay before it"):
        make(small(SimCLR), plugins=[Osiris()], evaluator=None)
    with pytest.raises(UsageError, match="two Osiris"):
        strategy(small(SimCLR), Osiris(), Osiris())
    with pytest.raises(UsageError, match="temperature"):
        Osiris(temperature=0.0)


@pytest.mark.slow
def test_goes_on_bit_for_bit(stream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_survives(
        lambda: with_probe(stream, [Replay(size=20, batch=4), Osiris()], small(SimCLR), train_mb_size=8), stream
    )
