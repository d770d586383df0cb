"""Teachers: what they copy, how they normalize, what they leave alone, what they leave out."""

import pytest
import torch
from helpers.encoders import tiny
from helpers.methods import SMALL, seeded
from helpers.strategies import assert_same, make, train
from torch import nn

from avalanche_ssl.checks import textured
from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory import MemoryBank, MomentumEncoder, Queue
from avalanche_ssl.methods import BYOL, CMC, PIRL, MoCo, MoCoV3, SimCLR
from avalanche_ssl.plugins import CLA, CLIMB, LUMP, PFR, CaSSLe, Replay, Teacher
from avalanche_ssl.plugins.continual import ContinualPlugin


def small(cls=SimCLR, seed=0):
    torch.manual_seed(seed)
    return seeded(cls(tiny, **SMALL[cls]))


def moved(method, steps=3):
    """The method itself after a few steps, which move running statistics too."""
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        method.loss(method(textured(8))).backward()
        optimizer.step()
    return method


def shown(method, images=None):
    """A strategy that has made views of images."""
    strategy = make(method)
    strategy.mb_views = method.random_views(textured(8) if images is None else images)
    return strategy


def tensors(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def flat(spaces):
    return torch.cat([z.flatten(1) for space in spaces for z in space], 1)


# -- take and follow -------------------------------------------------------------------------------------------------


def test_a_teacher_exists_from_the_start_and_is_no_model_of_the_past_yet():
    method = small()
    teacher = Teacher(method)
    before = {name: tensor.shape for name, tensor in teacher.state_dict().items()}
    assert not teacher.taken and teacher.taken.dtype == torch.long
    teacher.take(moved(method))
    assert teacher.taken == 1 and {name: t.shape for name, t in teacher.state_dict().items()} == before
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(parameter.requires_grad for parameter in method.parameters())


def test_take_copies_weights_and_running_statistics():
    method = small()
    teacher = Teacher(method)
    start = tensors(teacher.method)
    moved(method)
    teacher.take(method)
    assert_same(tensors(teacher.method), tensors(method))
    taken = tensors(teacher.method)
    moved(method)
    assert_same(tensors(teacher.method), taken)
    means = [name for name in start if name.endswith("running_mean")]
    assert means and all(not torch.equal(start[name], taken[name]) for name in means)


def test_follow_moves_weights_by_one_minus_momentum():
    method = small()
    teacher = Teacher(method)
    first = {name: p.detach().clone() for name, p in method.named_parameters()}
    moved(method)
    teacher.follow(method, 0.75)
    for name, weight in teacher.method.named_parameters():
        now = dict(method.named_parameters())[name]
        assert torch.allclose(weight, 0.75 * first[name] + 0.25 * now, atol=1e-6)
    assert teacher.taken == 1


def test_follow_copies_buffers():
    """Pitfall: an EMA copy in eval mode would keep the running statistics of the random start."""
    method = small()
    teacher = Teacher(method, norm="eval")
    for _ in range(50):
        teacher.follow(moved(method, 1), 0.99)
    own = dict(method.named_buffers())
    followed = dict(teacher.method.named_buffers())
    assert any(name.endswith("running_mean") for name in followed)
    for name, buffer in followed.items():
        assert torch.equal(buffer, own[name]), name


# -- embeddings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [SimCLR, MoCo, MoCoV3, BYOL, CMC, PIRL])
def test_a_new_teacher_embeds_as_its_method_does(cls):
    method = small(cls)
    teacher = Teacher(method)
    strategy = shown(method)
    own = method.embeddings(method.embed(strategy.mb_views))
    old = teacher.embeddings(strategy)
    assert [len(space) for space in own] == [len(space) for space in old]
    assert torch.equal(flat(own), flat(old)) and not flat(old).requires_grad


def test_the_copy_embeds_the_views_that_others_have_changed():
    method = small()
    teacher, strategy = Teacher(method), shown(method)
    straight = flat(teacher.embeddings(strategy))
    strategy.mb_views = {name: view.flip(0) for name, view in strategy.mb_views.items()}
    assert torch.allclose(flat(teacher.embeddings(strategy)), straight.flip(0), atol=1e-5)


def test_the_batch_or_the_statistics_of_the_copy_normalize():
    method = moved(small())
    strategy = shown(method)
    alone = {name: view[:4] for name, view in strategy.mb_views.items()}
    embedded = {}
    for norm in ("batch", "eval"):
        teacher = Teacher(method, norm)
        embedded[norm] = flat(teacher.embeddings(strategy))
        few = shown(method)
        few.mb_views = alone
        same = torch.allclose(flat(teacher.embeddings(few)), embedded[norm][:4], atol=1e-5)
        assert same == (norm == "eval")
    assert not torch.allclose(embedded["batch"], embedded["eval"], atol=1e-3)
    method.eval()
    assert torch.allclose(embedded["eval"], flat(method.embeddings(method.embed(strategy.mb_views))), atol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "eval"])
def test_the_copy_stays_bit_for_bit(norm):
    """Pitfall: published copies stay in train mode, and their running statistics move. Modes of the method pass by."""
    method = small()
    teacher, strategy = Teacher(method, norm), shown(method)
    teacher.take(moved(method))
    before, first = tensors(teacher), flat(teacher.embeddings(strategy))
    for module in (method, teacher):
        for mode in (False, True):
            module.train(mode)
            assert torch.equal(flat(teacher.embeddings(strategy)), first)
    moved(method)
    assert torch.equal(flat(teacher.embeddings(strategy)), first)
    assert_same(tensors(teacher), before)


class Learned(ContinualPlugin):
    """Takes the method at boundaries, and embeds in every step."""

    def build(self, strategy):
        self.teacher = Teacher(strategy.model)
        self.seen = []

    def term(self, strategy):
        flat(self.teacher.embeddings(strategy))
        self.seen.append(tensors(self.teacher))

    def boundary(self, strategy):
        self.teacher.take(strategy.model)


def test_the_copy_stays_over_an_experience(digits):
    plugin = Learned()
    train(make(small(), plugins=[plugin], train_mb_size=256, evaluator=None), digits)
    first, second = ([s for s in plugin.seen if int(s["taken"]) == number] for number in (0, 1))
    assert len(first) > 1 and len(second) > 1
    for states in (first, second):
        assert_same(states[0], states[-1])
    assert not torch.equal(
        flat([[first[0]["method.encoder.stages.0.0.weight"]]]), flat([[second[0]["method.encoder.stages.0.0.weight"]]])
    )


def test_dropout_in_a_copy_does_not_draw():
    method = small()
    method.encoder.stages.append(nn.Dropout2d(0.5))
    teacher, strategy = Teacher(method), shown(method)
    states = torch.get_rng_state(), method.generator.get_state()
    first = flat(teacher.embeddings(strategy))
    teacher.train()
    assert torch.equal(flat(teacher.embeddings(strategy)), first)
    assert torch.equal(torch.get_rng_state(), states[0]) and torch.equal(method.generator.get_state(), states[1])


def test_no_part_of_a_copy_has_hooks_of_its_own():
    teacher = Teacher(small())
    teacher.embeddings(shown(small()))
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    assert not any(getattr(module, kind) for module in teacher.modules() for kind in kinds)


# -- what is left out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [MoCo, MoCoV3, PIRL, CMC, BYOL])
def test_memory_is_left_out(cls):
    method = small(cls)
    held = [m for m in method.modules() if isinstance(m, MemoryBank | Queue | MomentumEncoder)]
    teacher = Teacher(method)
    assert held and not [m for m in teacher.modules() if isinstance(m, MemoryBank | Queue | MomentumEncoder)]
    assert teacher.method.generator is None and method.generator is not None
    names = set(teacher.method.state_dict())
    assert names < set(method.state_dict())
    teacher.take(moved(method, 1))  # names of what is left are those of the method
    teacher.follow(method, 0.5)


def test_a_large_bank_costs_a_teacher_nothing():
    torch.manual_seed(0)
    method = PIRL(tiny, output_dim=16, capacity=4096, count=32)
    size = lambda module: sum(t.nbytes for t in module.state_dict().values())  # noqa: E731
    bank = next(module for module in method.modules() if isinstance(module, MemoryBank))
    assert size(bank) > 4096 * 16 * 4
    assert size(Teacher(method)) <= size(method) - size(bank) + 8


def test_other_norms_are_refused_by_name():
    with pytest.raises(UsageError, match="no norm of a teacher 'bach'"):
        Teacher(small(), "bach")


# -- several ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plugins, message",
    [
        (
            [lambda: CaSSLe(hidden_dim=8), PFR],
            r"^PFR keeps a copy of the method beside that of CaSSLe: it takes another ",
        ),
        ([PFR, PFR], "^PFR keeps a copy of the method beside that of PFR: "),
        ([CLIMB, LUMP, lambda: CaSSLe(hidden_dim=8)], "^CaSSLe keeps a copy of the method beside that of CLIMB: "),
    ],
)
def test_a_second_teacher_is_warned_of_with_what_it_costs(plugins, message):
    method = small()
    size = sum(t.nbytes for t in (*method.parameters(), *method.buffers())) / 1e6
    with pytest.warns(UserWarning, match=message) as caught:
        make(method, plugins=[plugin() for plugin in plugins])
    (warning,) = caught
    assert f" another {size:.1f} MB and embeds the views of every step once more; leave one" in str(warning.message)
    assert "\n" not in str(warning.message)


def test_one_teacher_is_not_warned_of_whatever_is_beside_it():
    make(small(), plugins=[Replay(size=20), LUMP(), CLA("stored"), CaSSLe(hidden_dim=8)])
