"""Importances by naive loops and by hand, streams of mini-batches, and passes that change nothing."""

from types import SimpleNamespace

import pytest
import torch
from helpers.methods import make as small
from helpers.methods import narrow
from helpers.resuming import assert_survives
from helpers.resuming import make as with_probe
from helpers.strategies import Spy, assert_same, make, state
from helpers.streams import array_stream
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import BYOL, PIRL, MoCo, SimCLR, Supervised
from avalanche_ssl.plugins import Anchor
from avalanche_ssl.streams import online_stream

IMPORTANCES = ["fisher", "si", "mas", "ones"]


@pytest.fixture(scope="module")
def stream():
    """Two experiences of 32 images."""
    return array_stream(3)


def run(method, plugins, experiences, **settings):
    strategy = make(method, plugins=plugins, evaluator=None, **{"train_mb_size": 8} | settings)
    for experience in experiences:
        strategy.train(experience, eval_streams=[])
    return strategy


def trained(method):
    return [p for p in method.parameters() if p.requires_grad]


def flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


@pytest.mark.parametrize(("kind", "importance"), [*((MoCo, name) for name in IMPORTANCES), (PIRL, "fisher")])
def test_weight_0_is_the_run_without_it(kind, importance, stream):
    """Its passes over an experience draw from no generator of the run, and no running statistic moves."""
    plain = run(small(kind), [], stream.train_stream)
    off = run(small(kind), [Anchor(importance, weight=0.0)], stream.train_stream)
    assert_same(state(plain), state(off))
    assert torch.equal(plain.view_generator.get_state(), off.view_generator.get_state())


def test_fisher_is_the_mean_of_squared_gradients_of_batches(stream):
    method, anchor, images = small(MoCo), Anchor("fisher"), []
    spy = Spy(after_training_exp=lambda strategy: images.extend(strategy.images()))
    strategy = run(method, [anchor, spy], [stream.train_stream[0]])
    method.generator = torch.Generator().manual_seed(int(anchor.seed))  # of the first boundary
    expected = [torch.zeros_like(p) for p in trained(method)]
    for x in images:
        loss = method.loss(method(x))
        for total, gradient in zip(expected, torch.autograd.grad(loss, trained(method)), strict=True):
            total += gradient**2 / len(images)
    assert len(images) == 4 and strategy.model.training
    torch.testing.assert_close(anchor.omega, flat(expected))
    assert anchor.omega.max() > 0


def test_mas_is_the_sensitivity_of_features(stream):
    method, anchor, images = small(SimCLR), Anchor("mas"), []
    spy = Spy(after_training_exp=lambda strategy: images.extend(strategy.images()))
    run(method, [anchor, spy], [stream.train_stream[0]])
    method.eval()
    expected = [torch.zeros_like(p) for p in trained(method)]
    for x in images:
        norm = sum(row.square().sum() for row in method.extract_features(x)) / len(x)
        gradients = torch.autograd.grad(norm, trained(method), allow_unused=True)
        for total, gradient in zip(expected, gradients, strict=True):
            total += 0 if gradient is None else gradient.abs() / len(images)
    torch.testing.assert_close(anchor.omega, flat(expected))
    heads = sum(p.numel() for p in trained(method.projection_head))
    assert (anchor.omega[:-heads] > 0).any() and not anchor.omega[-heads:].any()


def test_si_of_20_steps_by_hand():
    """Two tasks of 10 steps on quadratic losses, whose gradients are known; the second one is under the penalty."""
    model = nn.Linear(2, 1, bias=False)
    model.num_classes_read = 0
    model.weight.data = torch.tensor([[1.0, -2.0]])
    strategy = SimpleNamespace(model=model, nonfinite_guard=SimpleNamespace(skipping=False))
    anchor = Anchor("si", damping=0.1, weight=0.5)
    anchor.build(strategy)
    anchor.gradients.weight.fill_(0.5)

    w, omega, reference = [1.0, -2.0], [0.0, 0.0], [1.0, -2.0]
    for curvature, target in (((1.0, 3.0), (0.0, 0.0)), ((2.0, 0.5), (2.0, 1.0))):
        path, start = [0.0, 0.0], list(w)
        for _ in range(10):
            total = []
            for k in range(2):
                own = curvature[k] * (w[k] - target[k])
                total.append(own + 0.5 * omega[k] * (w[k] - reference[k]))
                path[k] -= own * (-0.1 * total[k])
            model.weight.grad = torch.tensor([total])
            anchor.before_update(strategy)
            model.weight.data -= 0.1 * model.weight.grad
            w = [w[k] - 0.1 * total[k] for k in range(2)]
            anchor.after_step(strategy)
        strategy.experience = SimpleNamespace(logging=lambda: None)
        anchor.boundary(strategy)
        for k in range(2):
            omega[k] += max(0.0, path[k]) / ((w[k] - start[k]) ** 2 + 0.1)
            reference[k] = w[k]
        torch.testing.assert_close(anchor.omega, torch.tensor(omega))
        torch.testing.assert_close(anchor.reference, torch.tensor(reference))
    assert omega[0] > 0 and omega[1] > 0


def test_a_path_that_raised_the_loss_has_no_importance():
    model = nn.Linear(1, 1, bias=False)
    model.num_classes_read = 0
    strategy = SimpleNamespace(model=model)
    anchor = Anchor("si")
    anchor.build(strategy)
    model.weight.grad = torch.ones(1, 1)
    anchor.before_update(strategy)
    model.weight.data += 1
    anchor.after_step(strategy)
    anchor.boundary(strategy)
    assert anchor.omega.item() == 0


def test_the_penalty_by_value(stream):
    """Half the sum of importance times squared way, from the weights of the boundary; nothing before it."""
    method, anchor, terms = small(SimCLR), Anchor("si", weight=3.0), []

    def compare(strategy):
        if anchor.loss is None:
            terms.append(None)
            return
        expected = 0.0
        for k, (p, start) in enumerate(zip(trained(method), reference["weights"], strict=True)):
            omega = anchor.omega.split([q.numel() for q in trained(method)])[k].view_as(p)
            expected += float((omega * (p.detach() - start) ** 2).sum()) / 2
        terms.append(float(anchor.loss))
        assert terms[-1] == pytest.approx(expected, rel=1e-4, abs=1e-9)
        added = float((strategy.loss - strategy.method_loss).detach())
        assert added == pytest.approx(3 * expected, rel=1e-3, abs=1e-5)

    reference = {}
    end = Spy(
        before_backward=compare,
        after_training_exp=lambda s: reference.update(weights=[p.detach().clone() for p in trained(method)]),
    )
    run(method, [anchor, end], stream.train_stream)
    assert terms[:5] == [None] * 4 + [0.0] and all(terms[5:])


def test_it_holds_weights(stream):
    """With all importances 1 and a large weight, the second experience moves them less."""

    def way(plugins):
        strategy = run(small(SimCLR), plugins, [stream.train_stream[0]])
        before = flat(trained(strategy.model))
        strategy.train(stream.train_stream[1], eval_streams=[])
        return float((flat(trained(strategy.model)) - before).norm())

    assert way([Anchor("ones", weight=5.0)]) < 0.8 * way([])


@pytest.mark.parametrize("kind", [MoCo, BYOL])
def test_slow_copies_have_no_importance(kind):
    method, anchor = small(kind), Anchor()
    make(method, plugins=[anchor], evaluator=None)
    slow = sum(p.numel() for p in method.momentum_encoder.parameters())
    everything = sum(p.numel() for p in method.parameters())
    assert slow and len(anchor.omega) == everything - slow


def test_fisher_of_a_stream_averages_the_gradients_of_its_steps(stream):
    method, anchor, squares = small(SimCLR), Anchor("fisher", every=3), []
    spy = Spy(before_update=lambda s: squares.append(flat(p.grad for p in trained(method)) ** 2))
    parts = list(online_stream(stream.train_stream[0], 8, seed=0))[:3]
    run(method, [anchor, spy], parts)
    assert int(anchor.boundaries) == 1 and len(squares) == 3
    torch.testing.assert_close(anchor.omega, torch.stack(squares).mean(0))


def test_mas_of_a_stream_averages_over_its_steps(stream):
    method, anchor, found = small(SimCLR), Anchor("mas", every=3), []

    def sensitivity(strategy):
        method.eval()
        norm = method.extract_features(strategy.mb_x).square().sum(1).mean()
        gradients = torch.autograd.grad(norm, trained(method.encoder))
        found.append(flat(gradient.abs() for gradient in gradients))
        method.train()

    parts = list(online_stream(stream.train_stream[0], 8, seed=0))[:3]
    run(method, [Spy(after_update=sensitivity), anchor], parts)
    torch.testing.assert_close(anchor.omega[: len(found[0])], torch.stack(found).mean(0))


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_boundaries_of_a_stream(importance, stream):
    """Its parts end where their experience ends, if that may be known; else a number of steps decides."""
    parts = list(online_stream(stream.train_stream, 8, seed=0, access_task_boundaries=True))
    anchor = Anchor(importance)
    run(small(SimCLR), [anchor], parts)
    assert int(anchor.boundaries) == 2 and anchor.omega.max() > 0
    unknown = list(online_stream(stream.train_stream, 8, seed=0))
    anchor = Anchor(importance, every=2)
    run(small(SimCLR), [anchor], unknown)
    assert int(anchor.boundaries) == 4 and anchor.omega.max() > 0
    with pytest.raises(UsageError, match="this stream tells no boundaries: give every=N steps"):
        run(small(SimCLR), [Anchor(importance)], unknown)


def test_what_does_not_fit_is_refused(stream):
    with pytest.raises(UsageError, match=r"no importance 'ewc'.*fisher, si, mas, ones"):
        Anchor("ewc")
    with pytest.raises(UsageError, match="damping"):
        Anchor("si", damping=0.0)
    message = r"importance is 'fisher'.*no labels, and Supervised reads them: give si, mas or ones, or every=N steps"
    with pytest.raises(UsageError, match=message):
        make(Supervised(narrow, classes=4), plugins=[Anchor()], evaluator=None)
    method, anchor = Supervised(narrow, classes=4), Anchor("si")
    run(method, [anchor], stream.train_stream)
    assert int(anchor.boundaries) == 2


@pytest.mark.slow
@pytest.mark.parametrize("importance", ["fisher", "si"])
def test_goes_on_bit_for_bit(importance, stream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_survives(lambda: with_probe(stream, [Anchor(importance)], small(MoCo), train_mb_size=8), stream)


@pytest.mark.slow
def test_a_stream_goes_on_bit_for_bit(stream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build = lambda: with_probe(stream, [Anchor("fisher", every=3)], small(SimCLR), train_epochs=1)  # noqa: E731
    assert_survives(build, stream, kills=(2, 5), online_batch_size=8)
