"""Streams of mini-batches, each seen once and without boundaries, do to every method what they should."""

import gc
import weakref
from collections import Counter
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import avalanche.training.plugins as av
import pytest
import torch
from avalanche.models.dynamic_modules import DynamicModule
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from crashes import small_run
from helpers.encoders import tiny

from avalanche_ssl.cli import run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.schedule import ProbeSchedule
from avalanche_ssl.memory.bank import content_hash
from avalanche_ssl.methods import BYOL, PIRL, DeepCluster, MoCo, SimCLR, SwAV
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.recipe import Recipe
from avalanche_ssl.streams import online_stream
from avalanche_ssl.training import AvalancheReplay


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


class Spy(av.SupervisedPlugin):
    """Calls a function after each step."""

    def __init__(self, look):
        super().__init__()
        self.look = look

    def after_training_iteration(self, strategy, **kwargs):
        self.look(strategy)


def build(method, size=4, passes=1, plugins=(), **settings):
    """A strategy for mini-batches, as `run.py --online` sets it up."""
    recipe = Recipe(partial(method, output_dim=8, **settings), optimizer="adam", lr=0.001)
    recipe = recipe.override({"batch_size": size} | recipe.online_defaults | {"epochs": passes} | settings)
    return recipe.build(plugins=list(plugins))


def parts(benchmark, count, size=4):
    """So many mini-batches as one stream."""
    return list(zip(range(count), online_stream(benchmark.train_stream, size), strict=False))


def learn(strategy, benchmark, count=60, size=4):
    """One call of `train` over the stream, which names no boundary."""
    strategy.train([part for _, part in parts(benchmark, count, size)], eval_streams=[])
    return strategy


def replay(memory=20, batch=8):
    return AvalancheReplay(memory, batch_size_mem=batch, storage_policy=ReservoirSamplingBuffer(memory))


# -- the stream ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_of_past_mini_batches_is_kept(digits):
    """Neither the mini-batches themselves nor anything that is made for each."""
    past, counts = [], []

    def look(strategy):
        past.append(weakref.ref(strategy.experience))
        if len(past) in (100, 200, 300):
            gc.collect()
            counts.append(Counter(type(item) for item in gc.get_objects()))

    plugins = [
        ProbePlugin(digits, schedule=ProbeSchedule(at=(10**6,))),
        RepresentationMonitor(digits),
        Spy(look),
        replay(),
    ]
    strategy = build(MoCo, plugins=plugins, queue_size=16)
    strategy.train(islice(online_stream(digits.train_stream, 4), 301), eval_streams=[])
    assert len(past) == 301
    assert sum(ref() is not None for ref in past) <= 2
    growth = [after - before for before, after in pairwise(counts)]
    kept = {kind for kind in growth[0] if all(part[kind] >= 100 for part in growth)}  # one a mini-batch, each time
    assert kept == {weakref.ref}, "the references above"


def test_a_stream_can_be_learnt_again(digits):
    stream = online_stream(digits.train_stream, 100)
    first, again = ([content_hash(part.dataset[0][0][None]) for part in stream] for _ in range(2))
    assert len(first) > 20 and first == again


def test_the_rate_is_constant_and_the_optimiser_goes_on(digits):
    rates = []
    strategy = build(SimCLR, passes=2, plugins=[Spy(lambda s: rates.append(s.optimizer.param_groups[0]["lr"]))])
    learn(strategy, digits, 30)
    assert rates == [0.001] * 60
    assert {int(entry["step"]) for entry in strategy.optimizer.state.values()} == {60}


# -- what methods remember -------------------------------------------------------------------------------------------


def test_keys_of_replayed_images_are_not_queued(digits):
    """The queue holds the keys of the last new images, in their order."""
    keys, sizes = [], []

    def look(strategy):
        keys.append(strategy.mb_output["key"][:4].detach())
        sizes.append(len(strategy.mb_x))

    strategy = learn(build(MoCo, plugins=[Spy(look), replay()], queue_size=24), digits, 100)
    assert sizes[:4] == [4, 8, 12, 12], "the memory fills up"
    queue = strategy.model.queue
    assert int(queue.n_enqueued) == 400
    order = queue.ages().argsort(descending=True)
    assert queue.ages()[order].tolist() == list(range(23, -1, -1))
    assert torch.equal(queue.rows[order], torch.cat(keys)[-24:])


def test_symmetric_keys_of_replayed_images_are_not_queued_either(digits):
    strategy = learn(build(MoCo, plugins=[replay()], queue_size=24, symmetric=True), digits, 20)
    assert int(strategy.model.queue.n_enqueued) == 2 * 80


def test_keys_are_queued_after_the_last_pass_only(digits):
    """Else a query of the second pass would meet its own key of the first among the negatives."""
    keys, n_enqueued = [], []

    def look(strategy):
        keys.append(strategy.mb_output["key"].detach())
        n_enqueued.append(int(strategy.model.queue.n_enqueued))

    strategy = learn(build(MoCo, passes=3, plugins=[Spy(look)], queue_size=8), digits, 20)
    assert n_enqueued[:7] == [0, 0, 4, 4, 4, 8, 8]
    queue = strategy.model.queue
    assert torch.equal(queue.rows[queue.ages().argsort(descending=True)], torch.cat(keys[2::3])[-8:])
    assert int(strategy.model.momentum_encoder.n_updates) == 60


def test_passes_over_larger_experiences_are_all_queued(digits):
    strategy = build(MoCo, passes=3, queue_size=8)
    strategy.train(next(iter(online_stream(digits.train_stream, 16))), eval_streams=[])
    assert int(strategy.model.queue.n_enqueued) == 48


def test_the_slow_copy_of_byol_never_stands_still(digits):
    """A schedule that was made for experiences is replaced by a constant momentum."""
    recipe = Recipe(partial(BYOL, output_dim=8, momentum=0.9, momentum_steps=30)).override({"batch_size": 4})
    strategy = recipe.override(recipe.online_defaults).build()
    steps = []

    def look(strategy):
        slow, fast = (
            next(net.parameters()).detach().clone() for net in (strategy.model.momentum_encoder.copy, strategy.model)
        )
        steps.append((slow, fast))

    strategy.plugins.append(Spy(look))
    learn(strategy, digits, 40)
    for (before, _), (slow, fast) in pairwise(steps):
        torch.testing.assert_close(slow, 0.9 * before + 0.1 * fast)
    assert int(strategy.model.momentum_encoder.n_updates) == 40


def test_a_bank_knows_replayed_images_and_stays_at_its_capacity(digits):
    known = []

    def look(strategy):
        known.append(int(strategy.model.bank.n_hits))

    strategy = build(PIRL, plugins=[Spy(look), replay()], capacity=100, negatives="batch")
    learn(strategy, digits, 60)
    bank = strategy.model.bank
    assert known[:4] == [0, 4, 12, 20], "every replayed image has its row, which follows it"
    assert len(bank.rows) == 100 and int(bank.n_written) > 240, "images that left and are replayed are born again"
    last = [part.dataset[i][0] for _, part in parts(digits, 60)[-20:] for i in range(4)]
    assert bank.find(content_hash(torch.stack(last)))[1].all(), "the newest images have rows"


def test_the_prototypes_of_swav_are_frozen_at_the_start_of_the_stream_only(digits):
    weights, full = [], []

    def look(strategy):
        weights.append(strategy.model.prototypes.weight.detach().clone())
        full.append(bool(strategy.model.queues[0].ages().min() >= 0))

    strategy = learn(build(SwAV, plugins=[Spy(look)], prototypes=8, freeze=10, queue_size=24), digits, 60)
    moved = [not torch.equal(a, b) for a, b in pairwise(weights)]
    assert moved == [False] * 9 + [True] * 50
    assert full == [False] * 5 + [True] * 55
    assert int(strategy.model.queues[0].n_enqueued) == 240


def test_online_swav_has_a_queue():
    assert build(SwAV).model.queues[0].rows.shape == (384, 8)


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_deepcluster_without_boundaries_keeps_its_clusters(digits, version):
    """Over several hundred mini-batches; with as many images each, k-means would make two clusters."""
    strategy = build(DeepCluster, clusters=12, version=version, size=10)
    learn(strategy, digits, 240, size=10)
    clusters = strategy.model.clusters
    assert int(clusters.active) == 12
    assert int(clusters.fitted) == 240
    images = torch.stack([digits.train_stream[0].dataset[i][0] for i in range(200)])
    with torch.no_grad():
        labels = strategy.model.cluster_assignments(strategy.model(images)).labels
    assert all(len(set(column.tolist())) >= 8 for column in labels.T)


def test_deepcluster_by_epochs_is_refused_mini_batches(digits):
    strategy = build(DeepCluster, clustering="epoch")
    with pytest.raises(UsageError, match=r"DeepCluster reads a full experience .* give it clustering='online'"):
        learn(strategy, digits, 1)


SMALL = {"capacity": 64, "queue_size": 16, "count": 8, "output_dim": 8, "hidden_dim": 8, "clusters": 4, "prototypes": 8}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_learns_a_stream_without_boundaries(name, digits):
    recipe = load_recipe(name)
    small = {k: v for k, v in SMALL.items() if k in recipe.settings}
    losses = []
    recipe = recipe.override({"batch_size": 4} | recipe.online_defaults | small)
    strategy = recipe.build(plugins=[Spy(lambda s: losses.append(float(s.loss.detach()))), replay()])
    before = [p.clone() for p in strategy.model.encoder.parameters()]
    learn(strategy, digits, 12)
    assert len(losses) == 12 and torch.tensor(losses).isfinite().all()
    assert any(not torch.equal(a, b) for a, b in zip(before, strategy.model.encoder.parameters()))


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_with_replay_and_points(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(run.BENCHMARKS, "few-digits", small_run.few_digits)
    given = ["--strategy", "simclr", "--benchmark", "few-digits", "--experiences", "1", "--precision", "fp32"]
    given += [
        "--set",
        "output_dim=8",
        "--online-batch-size",
        "10",
        "--epochs",
        "2",
        "--plugin",
        "replay",
        "--set",
        "replay.size=15",
        "--probe-every-images",
        "30,45",
    ]
    assert run.main([*given, "--out", "a"]) == 0
    rows = [line.split(",") for line in Path("a/curve.csv").read_text().splitlines()[1:]]
    assert list(dict.fromkeys(row[0] for row in rows)) == ["0", "30", "50", "72"]
    assert dict(row[:2] for row in rows)["30"] == str(2 * (10 + 10 + 25)), (
        "of the memory 20 a step, or all if it is full"
    )
    out = capsys.readouterr().out
    assert "mean accuracy (%) by images of the stream seen; ridge" in out and "curve.csv" in out
    assert run.main([*given, "--set", "replay.batch=5", "--out", "b"]) == 0
    assert f"\n50,{2 * (10 + 4 * 15)}," in Path("b/curve.csv").read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            ["--probe-every-images", "100"],
            "--probe-every-images is about a stream of mini-batches: give --online-batch-size, too",
        ),
        (["--online-batch-size", "--probe-every-images", "often"], "'often' is no probe schedule"),
        (
            ["--online-batch-size", "--plugin", "replay", "--set", "replay.size=-1"],
            "'size' is -1: give a number above 0",
        ),
        (
            ["--online-batch-size", "--set", "clustering=epoch", "--strategy", "deepcluster"],
            "give it clustering='online'",
        ),
    ],
)
def test_mistakes_are_one_line(given, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(run.BENCHMARKS, "few-digits", small_run.few_digits)
    assert run.main(["--strategy", "simclr", "--benchmark", "few-digits", *given, "--out", "a"]) == 2
    said = capsys.readouterr().err
    assert message in said


# -- costs -----------------------------------------------------------------------------------------------------------


def test_a_model_that_grows_is_adapted_to_every_mini_batch(digits):
    """Only the walk through models without such modules is left out."""

    class Growing(DynamicModule):
        met = 0

        def adaptation(self, experience):
            self.met += 1

    strategy = build(SimCLR)
    strategy.model.growing = Growing()
    learn(strategy, digits, 5)
    assert strategy.model.growing.met == 5


def test_what_grows_without_the_optimiser_is_named(digits):
    class Growing(DynamicModule):
        def adaptation(self, experience):
            self.added = torch.nn.Parameter(torch.zeros(3))

    strategy = build(SimCLR)
    strategy.model.growing = Growing()
    with pytest.raises(UsageError, match=r"the optimizer holds no growing\.added"):
        learn(strategy, digits, 1)
