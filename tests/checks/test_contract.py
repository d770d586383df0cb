import importlib
import inspect
import itertools
import pkgutil
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from avalanche_ssl import methods
from avalanche_ssl.checks.contract import CHECKS, ContractError, check_method
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.errors import UsageError
from avalanche_ssl.functional import l2_normalize
from avalanche_ssl.losses.contrastive import info_nce, similarity_scores
from avalanche_ssl.methods import (
    BYOL,
    CMC,
    CPC,
    PIRL,
    BarlowTwins,
    DeepCluster,
    MoCo,
    MoCoV3,
    SimCLR,
    SimSiam,
    Supervised,
    SwAV,
    VICReg,
)
from avalanche_ssl.methods.base import Method
from avalanche_ssl.models.smallconv import smallconv

tiny = partial(smallconv, width=8)
SMALL_MOCO = {"output_dim": 16, "queue_size": 24}
SMALL_CMC = {"output_dim": 16, "capacity": 24, "count": 12}
THREE = ("l", "ab", "edges")

SOUND = {
    "simclr": lambda: SimCLR(tiny, output_dim=16),
    "moco v1": lambda: MoCo(tiny, hidden_dim=0, temperature=0.07, momentum=0.999, **SMALL_MOCO),
    "moco v2": lambda: MoCo(tiny, **SMALL_MOCO),
    "moco symmetric": lambda: MoCo(tiny, symmetric=True, **SMALL_MOCO),
    "cmc": lambda: CMC(tiny, **SMALL_CMC),
    "cmc nce": lambda: CMC(tiny, objective="nce", **SMALL_CMC),
    "cmc in the batch": lambda: CMC(tiny, negatives="batch", **SMALL_CMC),
    "cmc with a hidden layer": lambda: CMC(tiny, hidden_dim=16, **SMALL_CMC),
    "cmc with norm in the heads": lambda: CMC(tiny, hidden_dim=16, head_norm=True, **SMALL_CMC),
    "cmc core": lambda: CMC(tiny, views=THREE, graph="core", **SMALL_CMC),
    "cmc full nce": lambda: CMC(tiny, views=THREE, objective="nce", **SMALL_CMC),
    "cpc": lambda: CPC(tiny, output_dim=16, hidden_dim=16, blocks=2),
    "pirl": lambda: PIRL(tiny, output_dim=16, capacity=24, count=12),
    "cmc core in the batch": lambda: CMC(tiny, views=THREE, graph="core", negatives="batch", **SMALL_CMC),
    "deepcluster": lambda: DeepCluster(tiny, output_dim=16, clusters=4, capacity=24),
    "swav": lambda: SwAV(tiny, output_dim=16, prototypes=12, freeze=2),
    "byol": lambda: BYOL(tiny, output_dim=16, hidden_dim=32),
    "simsiam": lambda: SimSiam(tiny, output_dim=16, hidden_dim=8),
    "barlow_twins": lambda: BarlowTwins(tiny, output_dim=16),
    "vicreg": lambda: VICReg(tiny, output_dim=16),
    "moco v3": lambda: MoCoV3(tiny, output_dim=16, hidden_dim=32),
    "moco split": lambda: MoCo(tiny, split_norm=True, **SMALL_MOCO),
    "supervised": lambda: Supervised(tiny, classes=4),
}


def build(cls, **kwargs):
    torch.manual_seed(0)
    settings = {MoCo: SMALL_MOCO, CMC: SMALL_CMC, SimCLR: {"output_dim": 16}}
    return cls(tiny, **next(small for base, small in settings.items() if issubclass(cls, base)), **kwargs)


@pytest.mark.parametrize("name", SOUND)
def test_methods_keep_the_contract(name):
    torch.manual_seed(0)
    check_method(SOUND[name]())


def is_method(value):
    """Whether it is a complete method, and no base class."""
    return inspect.isclass(value) and issubclass(value, Method) and value.loss is not Method.loss


def test_every_method_is_tested():
    tested = {type(make()).__name__ for make in SOUND.values()}
    assert tested == {name for name in methods.__all__ if is_method(getattr(methods, name))}


NOT_COSINES = {"byol", "simsiam", "barlow_twins", "vicreg", "cpc", "supervised"}
"""Their losses normalise by themselves, or are of dot products, logits or correlations."""


@pytest.mark.parametrize("name", [name for name in SOUND if name not in NOT_COSINES])
def test_embeddings_that_are_compared_by_cosine_are_unit(name):
    torch.manual_seed(0)
    for rows in SOUND[name]()(textured(8)).values():
        if rows.is_floating_point():
            assert torch.allclose(rows.norm(dim=-1), torch.ones(rows.shape[:-1]), atol=1e-6)


def test_every_method_is_exported():
    for file in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{file.name}")
        own = [n for n, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        public = [n for n in own if not n.startswith("_") and issubclass(getattr(module, n), Method)]
        assert public and set(public) <= set(methods.__all__), file.name


# -- sound methods of other shapes pass ------------------------------------------------------------------------


class SplitNorm(nn.BatchNorm1d):
    """Statistics by groups of at least 4 images, as on several devices."""

    def forward(self, x):
        groups = max(1, len(x) // 4) if self.training else 1
        return torch.cat([super(SplitNorm, self).forward(part) for part in x.chunk(groups)])


class ShuffledOnce(MoCo):
    """Keys are shuffled before the slow copy, and un-shuffled once."""

    def embed(self, views):
        order = torch.randperm(len(views["first"]), generator=self.generator)
        key = l2_normalize(self.momentum_encoder(views["second"][order]))[order.argsort()]
        return {"query": l2_normalize(self.online_network()(views["first"])), "key": key}


class ShuffledSplit(ShuffledOnce):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.momentum_encoder.copy.append(SplitNorm(16, affine=False))


class Dropping(SimCLR):
    """A layer of the user's own that draws from torch's global generator."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoder.stages.append(nn.Dropout2d(0.1))


class Recomputed(SimCLR):
    """Rule 3: not persistent, but made anew by `prepare`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("mean", torch.zeros(3), persistent=False)

    def prepare(self, batches):
        self.mean.copy_(torch.stack([x.float().mean((0, 2, 3)) for x in batches]).mean(0) / 255)

    def loss(self, outputs):
        return super().loss(outputs) + self.mean.sum()


@pytest.mark.parametrize("cls", [ShuffledOnce, ShuffledSplit, Dropping, Recomputed])
def test_other_sound_methods_pass(cls):
    check_method(build(cls))


@pytest.mark.parametrize("norm", ["group", "layer", "none"])
def test_other_norms_pass(norm):
    torch.manual_seed(0)
    check_method(SimCLR(partial(tiny, norm=norm), output_dim=16))


def test_a_trained_method_passes():
    method = build(MoCo)
    for _ in range(3):
        outputs = method(textured(8))
        method.loss(outputs).backward()
        method.update({name: rows.detach() for name, rows in outputs.items()})
    check_method(method)


# -- broken methods are caught by the name of the rule ---------------------------------------------------------

BROKEN = []


def breaks(rule, found=""):
    """Decorate a method that breaks `rule`, with words of the message."""

    def note(cls):
        BROKEN.append(pytest.param(cls, rule, found, id=cls.__name__))
        return cls

    return note


class Remembering(MoCo):
    """MoCo that also counts in `remember`."""

    def update(self, outputs):
        super().update(outputs)
        self.remember(outputs)


@breaks("copies_are_independent", "changed 'shared'")
class ClassTensor(Remembering):
    shared = torch.zeros(16)

    def remember(self, outputs):
        self.shared += 1


@breaks("copies_are_independent", "changed 'history[")
class ClassList(Remembering):
    history = []

    def remember(self, outputs):
        self.history.append(1)


@breaks("copies_are_independent", "Only Tensors created explicitly by the user")
class KeepsTheGraph(MoCo):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scale = self.projection_head[0].weight.sum()


@breaks("features_are_finite_rows", "differs from call to call")
class RandomFeatures(SimCLR):
    def extract_features(self, x):
        return self.encoder(self.augment(x, self.generator))


@breaks("features_are_finite_rows", "(8, 64, 1)")
class FeatureMaps(SimCLR):
    def extract_features(self, x):
        return super().extract_features(x)[..., None]


@breaks("features_are_finite_rows", "torch.float64")
class DoubleFeatures(SimCLR):
    def extract_features(self, x):
        return super().extract_features(x).double()


@breaks("features_are_finite_rows", "not finite")
class LogFeatures(SimCLR):
    def extract_features(self, x):
        return (super().extract_features(x) * 0).log()


@breaks("features_belong_to_their_images", "depend on the others")
class TrainModeFeatures(SimCLR):
    def extract_features(self, x):
        return self.train().encoder(self.augment.normalize_only(x))


@breaks("features_belong_to_their_images", "does not permute")
class SortedFeatures(SimCLR):
    def extract_features(self, x):
        return super().extract_features(x).sort(0).values


@breaks("bytes_and_floats_are_the_same_images", "to_float")
class BytesOnly(SimCLR):
    def extract_features(self, x):
        return self.encoder(x.float() / 255)


@breaks("evaluating_changes_nothing", "changed 'seen'")
class CountsFeatures(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def extract_features(self, x):
        self.seen += len(x)
        return super().extract_features(x)


@breaks("evaluating_changes_nothing", "switches to train mode")
class LeavesTrainMode(SimCLR):
    def extract_features(self, x):
        features = self.eval().encoder(self.augment.normalize_only(x))
        self.train()
        return features


@breaks("evaluating_changes_nothing", "changed 'generator'")
class DrawsWhileEvaluating(SimCLR):
    def extract_features(self, x):
        torch.rand(1, generator=self.generator)
        return super().extract_features(x)


@breaks("inputs_are_left_alone", "embed writes to the tensors it is given: 'first'")
class InPlaceEmbed(SimCLR):
    def embed(self, views):
        views["first"].clamp_(-1, 1)
        return super().embed(views)


@breaks("inputs_are_left_alone", "views writes to its images")
class InPlaceViews(SimCLR):
    def views(self, x):
        return super().views(x.clamp_(max=0.5) if x.is_floating_point() else x)


@breaks("inputs_are_left_alone", "stores the given outputs without a copy as 'last'")
class KeepsOutputs(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("last", torch.zeros(16, 16))

    def remember(self, outputs):
        self.last = outputs["key"]


@breaks("views_are_random", "'first' and 'second' are the same")
class SameViews(SimCLR):
    def views(self, x):
        view = self.augment(x, self.generator)
        return {"first": view, "second": view.clone()}


@breaks("views_are_random", "same in every call")
class PlainViews(SimCLR):
    def views(self, x):
        return {"first": self.augment.normalize_only(x), "second": self.augment.normalize_only(x).flip(3)}


@breaks("views_are_random", "gradient")
class LearnedViews(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.ones(()))

    def views(self, x):
        return {name: self.gain * view for name, view in super().views(x).items()}


@breaks("views_belong_to_their_images", "changes row 1 of view 'second'")
class RolledViews(SimCLR):
    def views(self, x):
        return {"first": self.augment(x, self.generator), "second": self.augment(x, self.generator).roll(1, 0)}


@breaks("views_belong_to_their_images", "give it one row per image")
class JoinedViews(SimCLR):
    def views(self, x):
        views = super().views(x)
        return views | {"both": torch.cat([views["first"], views["second"]])}


@breaks("embeddings_belong_to_their_images", "output 'key'")
class UnshuffledTwice(MoCo):
    def embed(self, views):
        order = torch.randperm(len(views["first"]), generator=self.generator)
        key = l2_normalize(self.momentum_encoder(views["second"][order]))[order.argsort()][order.argsort()]
        return {"query": l2_normalize(self.online_network()(views["first"])), "key": key}


@breaks("embeddings_belong_to_their_images", "output 'key'")
class UnshuffledTwiceUnseeded(MoCo):
    def embed(self, views):
        back = torch.randperm(len(views["first"])).argsort()
        return {
            "query": l2_normalize(self.online_network()(views["first"])),
            "key": l2_normalize(self.momentum_encoder(views["second"]))[back],
        }


@breaks("embeddings_belong_to_their_images", "output 'key'")
class UnshuffledTwiceFixed(MoCo):
    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"key": outputs["key"].flip(0)}


@breaks("embeddings_belong_to_their_images", "output 'key' in train mode")
class UnshuffledTwiceInTraining(MoCo):
    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"key": outputs["key"].flip(0)} if self.training else outputs


@breaks("embeddings_belong_to_their_images", "has shape ()")
class ScalarOutput(SimCLR):
    def embed(self, views):
        outputs = super().embed(views)
        return outputs | {"agreement": (outputs["first"] * outputs["second"]).sum()}


@breaks("loss_is_a_finite_scalar", "shape (1,)")
class LossOfOneElement(SimCLR):
    def loss(self, outputs):
        return super().loss(outputs)[None]


@breaks("loss_is_a_finite_scalar", "float64")
class DoubleLoss(SimCLR):
    def loss(self, outputs):
        return super().loss(outputs).double()


@breaks("loss_is_a_finite_scalar", "the loss is nan")
class NanLater(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("steps", torch.zeros(()))

    def remember(self, outputs):
        self.steps += 1

    def loss(self, outputs):
        return super().loss(outputs) + (1 - self.steps).sqrt()


@breaks("loss_is_a_finite_scalar", "no gradient")
class DetachedLoss(SimCLR):
    def loss(self, outputs):
        return super().loss(outputs).detach()


@breaks("gradient_reaches_the_encoder", "encoder.stages")
class DetachedEncoder(SimCLR):
    def embed(self, views):
        first, second = (
            l2_normalize(self.projection_head(self.encoder(views[v]).detach())) for v in ("first", "second")
        )
        return {"first": first, "second": second}


@breaks("gradient_reaches_the_encoder", "'encoder.ab'")
class HalfLearning(CMC):
    def loss(self, outputs):
        return super().loss(outputs | {"ab": outputs["ab"] * 0})


@breaks("gradient_reaches_the_encoder", "encoder.unused.weight")
class UnusedLayer(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.encoder.unused = nn.Linear(2, 2)


@breaks("batches_of_any_size_work", "AssertionError: 24 % 5")
class DividingQueue(MoCo):
    def update(self, outputs):
        size = len(outputs["key"])
        assert size in (2, 8) or len(self.queue.rows) % size == 0, f"{len(self.queue.rows)} % {size}"
        super().update(outputs)


@breaks("batches_of_any_size_work", "nan")
class DividesByRest(MoCo):
    def loss(self, outputs):
        return super().loss(outputs) + (0.0 if len(outputs["key"]) > 2 else torch.nan)


@breaks("memory_is_in_the_state_dict", "'bank', which is not persistent: register it without persistent=False")
class NonPersistentBank(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("bank", torch.zeros(16), persistent=False)

    def remember(self, outputs):
        self.bank.lerp_(outputs["key"].mean(0), 0.5)


@breaks("memory_is_in_the_state_dict", "'bank' is a tensor in a plain attribute")
class PlainTensor(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bank = torch.zeros(16)

    def remember(self, outputs):
        self.bank = outputs["key"].mean(0)


@breaks("memory_is_in_the_state_dict", "'centres[0]'")
class GrowingListOfTensors(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.centres = []

    def remember(self, outputs):
        self.centres.append(outputs["key"].mean(0))


@breaks("memory_is_in_the_state_dict", "'teachers[0]._parameters['weight']'")
class HiddenModule(SimCLR):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.teachers = [nn.Linear(2, 2)]


@breaks("counters_are_tensors", "update changed plain attribute 'pointer' (0 became 8)")
class PythonPointer(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pointer = 0

    def remember(self, outputs):
        self.pointer += len(outputs["key"])


@breaks("counters_are_tensors", "plain attribute 'queue.pointer'")
class PythonPointerInside(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.queue.pointer = 0

    def remember(self, outputs):
        self.queue.pointer += len(outputs["key"])


@breaks("counters_are_tensors", "plain attribute 'losses[0]'")
class GrowingList(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.losses = []

    def remember(self, outputs):
        self.losses.append(float(self.loss(outputs)))


@breaks("counters_are_tensors", "plain attribute 'state.steps'")
class PlainObject(Remembering):
    class State:
        steps = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.state = self.State()

    def remember(self, outputs):
        self.state.steps += 1


@breaks("counters_are_tensors", "plain attribute 'bank'")
class ArrayBank(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.bank = np.zeros(16)

    def remember(self, outputs):
        self.bank += outputs["key"].mean(0).numpy()


@breaks("counters_are_tensors", "prepare changed plain attribute 'epochs'")
class CountsEpochs(SimCLR):
    epochs = 0

    def prepare(self, batches):
        self.epochs += 1


@breaks("shapes_never_change", "'lazy'")
class LazyBuffer(Remembering):
    def remember(self, outputs):
        if not hasattr(self, "lazy"):
            self.register_buffer("lazy", torch.zeros(16))
        self.lazy += outputs["key"].sum(0)


@breaks("shapes_never_change", "'lazy'")
class LazyBufferInLoss(MoCo):
    def loss(self, outputs):
        if not hasattr(self, "lazy"):
            self.register_buffer("lazy", torch.zeros(16))
        return super().loss(outputs)


@breaks("shapes_never_change", "'clusters'")
class LazyBufferInPrepare(SimCLR):
    def prepare(self, batches):
        self.register_buffer("clusters", torch.stack([x.float().mean() for x in batches]))


@breaks("shapes_never_change", "'bank'")
class GrowingBank(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("bank", torch.zeros(0, 16))

    def remember(self, outputs):
        self.bank = torch.cat([self.bank, outputs["key"]])


@breaks("shapes_never_change", "'torch.float32 (16,)' became 'torch.float64 (16,)'")
class TypeChanges(Remembering):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("sum", torch.zeros(16))

    def remember(self, outputs):
        self.sum = self.sum.double() + outputs["key"].sum(0)


@breaks("only_update_writes", "loss changed 'queue.n_enqueued'")
class PushInLoss(MoCo):
    def loss(self, outputs):
        loss = super().loss(outputs)
        self.queue.enqueue(outputs["key"])
        return loss


@breaks("only_update_writes", "embed changed 'queue.n_enqueued'")
class PushInEmbed(MoCo):
    def embed(self, views):
        outputs = super().embed(views)
        self.queue.enqueue(outputs["key"])
        return outputs


@breaks("only_update_writes", "embed changed 'momentum_encoder.copy")
class FollowInEmbed(MoCo):
    def embed(self, views):
        self.momentum_encoder.update(self.online_network())
        return super().embed(views)


@breaks("only_update_writes", "loss changed 'queue.n_enqueued'")
class PushInLossWithGradient(MoCo):
    """lightly's guess whether we train."""

    def loss(self, outputs):
        loss = super().loss(outputs)
        if loss.requires_grad:
            self.queue.enqueue(outputs["key"])
        return loss


@breaks("only_update_writes", "views changed 'calls'")
class CountsViews(SimCLR):
    calls = 0

    def views(self, x):
        self.calls += 1
        return super().views(x)


@breaks("randomness_comes_from_the_generator", "views draws from 'torch's global generator'")
class UnseededViews(SimCLR):
    def views(self, x):
        return {name: self.augment(x) for name in ("first", "second")}


@breaks("randomness_comes_from_the_generator", "views draws from 'numpy's global generator'")
class NumpyViews(SimCLR):
    def views(self, x):
        return {name: view + np.random.rand() for name, view in super().views(x).items()}


@breaks("randomness_comes_from_the_generator", "loss draws from 'torch's global generator'")
class UnseededNegatives(MoCo):
    def loss(self, outputs):
        rows = self.queue.rows[torch.randperm(len(self.queue.rows))[:12]]
        return info_nce(similarity_scores(outputs["query"], outputs["key"], rows), 0.1)


@breaks("randomness_comes_from_the_generator", "update draws from 'python's global generator'")
class UnseededUpdate(MoCo):
    def update(self, outputs):
        if random.random() < 0.5:
            super().update(outputs)


@breaks("randomness_comes_from_the_generator", "loss does not repeat")
class FreshGenerator(MoCo):
    def loss(self, outputs):
        fresh = torch.Generator()
        fresh.seed()
        rows = self.queue.rows[torch.randperm(len(self.queue.rows), generator=fresh)[:12]]
        return info_nce(similarity_scores(outputs["query"], outputs["key"], rows), 0.1)


@breaks("a_fresh_copy_continues_bit_for_bit", "losses")
class HiddenClock(MoCo):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.clock = itertools.count()

    def loss(self, outputs):
        return super().loss(outputs) * (1 + next(self.clock))


@pytest.mark.parametrize("cls, rule, found", BROKEN)
def test_broken_methods_are_caught_by_name(cls, rule, found):
    with pytest.raises(ContractError) as caught:
        check_method(build(cls), textured(8))
    assert str(caught.value).startswith(f'{cls.__name__} breaks "{rule}": ')
    assert found in str(caught.value)


def test_every_rule_has_a_broken_method_and_a_docstring():
    assert {check.__name__ for check in CHECKS} == {param.values[1] for param in BROKEN}
    assert all(check.__doc__ for check in CHECKS)


# -- check_method itself ---------------------------------------------------------------------------------------


def test_nothing_outside_changes():
    method = build(MoCo)
    method.eval().generator = torch.Generator().manual_seed(3)
    own = method.generator
    state = {name: entry.clone() for name, entry in method.state_dict().items()}
    drawn = own.get_state(), torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    images = textured(8)
    given = images.clone()
    check_method(method, images)
    assert method.generator is own and not method.training and torch.equal(images, given)
    assert all(torch.equal(entry, state[name]) for name, entry in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())
    assert torch.equal(own.get_state(), drawn[0]) and torch.equal(torch.get_rng_state(), drawn[1])
    assert random.getstate() == drawn[2] and np.array_equal(np.random.get_state()[1], drawn[3])


def test_an_error_inside_a_method_is_reported_with_its_cause():
    class Fails(SimCLR):
        def loss(self, outputs):
            raise KeyError("queue")

    with pytest.raises(ContractError, match="KeyError: 'queue'") as caught:
        check_method(build(Fails))
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("images", [textured(5), textured(8).float(), textured(8)[0], textured(8)[[0] * 8]])
def test_unsuitable_images_are_refused(images):
    with pytest.raises(UsageError, match="6 or more different raw images"):
        check_method(build(SimCLR), images)


def test_textured_images_are_different_and_repeatable():
    images = textured(64)
    assert images.dtype == torch.uint8 and images.shape == (64, 3, 32, 32)
    assert len(images.unique(dim=0)) == 64 and torch.equal(images, textured(64))
    assert F.mse_loss(images[:32].float(), images[32:].float()) > 100
