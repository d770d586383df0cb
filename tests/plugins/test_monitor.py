"""The representation monitor: what its events hold, and that it changes nothing."""

import dataclasses
import json
import math
import warnings

import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.core import SupervisedPlugin
from helpers.domains import frozen_images, turned
from helpers.encoders import tiny
from torch.optim import SGD

from avalanche_ssl import SelfSupervised, methods
from avalanche_ssl.checks.harness import textured
from avalanche_ssl.evaluation import representation
from avalanche_ssl.logging.jsonl import JSONLinesLogger
from avalanche_ssl.losses.contrastive import info_nce, nt_xent
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
from avalanche_ssl.plugins import ProbePlugin, monitor
from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.probes import PROTOCOLS
from avalanche_ssl.streams import online_stream

METHODS = {
    "simclr": lambda: SimCLR(tiny, output_dim=8),
    "moco": lambda: MoCo(tiny, output_dim=8, queue_size=64),
    "moco symmetric": lambda: MoCo(tiny, output_dim=8, queue_size=64, symmetric=True),
    "moco v3": lambda: MoCoV3(tiny, output_dim=8, hidden_dim=16),
    "cmc": lambda: CMC(tiny, output_dim=8, capacity=512, count=64),
    "cmc nce": lambda: CMC(tiny, output_dim=8, capacity=512, count=64, objective="nce"),
    "cmc in the batch": lambda: CMC(tiny, output_dim=8, negatives="batch"),
    "byol": lambda: BYOL(tiny, output_dim=8, hidden_dim=16),
    "barlow_twins": lambda: BarlowTwins(tiny, output_dim=8),
    "swav": lambda: SwAV(tiny, output_dim=8, prototypes=16),
    "deepcluster": lambda: DeepCluster(tiny, output_dim=8, clusters=8, heads=2),
    "pirl": lambda: PIRL(tiny, output_dim=8, negatives="batch", capacity=512),
    "cpc": lambda: CPC(tiny, output_dim=8, hidden_dim=8, blocks=1, offsets=(2, 6)),
    "simsiam": lambda: SimSiam(tiny, output_dim=8, hidden_dim=4),
    "vicreg": lambda: VICReg(tiny, output_dim=8),
    "supervised": lambda: Supervised(tiny, classes=10),
}
BOUNDS = {
    "simclr": {"first and second": 63},
    "moco": {"first to second": 65},
    "moco symmetric": {"first to second": 65, "second to first": 65},
    "moco v3": {"first to second": 32, "second to first": 32},
    "cmc in the batch": {"l to ab": 32, "ab to l": 32},
    "pirl": {"transformed to bank": 32, "image to bank": 32},
    "cpc": {"2 rows on": pytest.approx(513, abs=1), "6 rows on": pytest.approx(513, abs=1)},
}


def train(name, digits, plugins=(), experiences=2, part=lambda e: e, log=None, lr=0.05, **settings):
    torch.manual_seed(0)
    model = METHODS[name]()
    optimizer = SGD(model.parameters(), lr=lr, momentum=0.9)
    strategy = SelfSupervised(model=model, optimizer=optimizer, train_mb_size=32, plugins=list(plugins), **settings)
    for experience in list(digits.train_stream)[:experiences]:
        strategy.train(part(experience), eval_streams=[])
    return strategy


@pytest.fixture(scope="module")
def short(digits):
    """The first 128 images of three experiences."""
    return benchmark_from_datasets(train=[e.dataset.subset(range(128)) for e in digits.train_stream])


@pytest.mark.contract
@pytest.mark.parametrize("name", METHODS)
def test_measuring_changes_nothing(short, name):
    monitor = RepresentationMonitor(short, images=64, pairs=64)
    alone, watched = train(name, short, lr=0.01), train(name, short, [monitor], lr=0.01)
    assert len(monitor.events) == 2
    for (key, a), b in zip(alone.model.state_dict().items(), watched.model.state_dict().values()):
        assert torch.equal(a, b), key
    assert torch.equal(alone.view_generator.get_state(), watched.view_generator.get_state())
    assert watched.model.generator is watched.view_generator
    assert all(m.training for m in watched.model.modules())


@pytest.mark.contract
@pytest.mark.parametrize("name", METHODS)
def test_an_event_holds_what_the_method_defines(short, tmp_path, name):
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    measured = RepresentationMonitor(short, images=100, pairs=64, log=log)
    train(name, short, [measured])
    first, second = map(json.loads, log.path.read_text(encoding="utf-8").splitlines())
    assert [e.pop("event") for e in (first, second)] == ["representation", "representation"]
    assert [(e["experiences_trained"], e["images_measured"]) for e in (first, second)] == [(1, 100), (2, 100)]
    assert "drift_cka" not in first and 0 < second["drift_cka"] <= 1
    assert 1 <= second["rankme"] <= second["feature_dim"] and second["feature_std"] > 0
    assert ("alignment" in second) == (name not in ("supervised", "cpc"))
    assert {n: b["candidates"] for n, b in second.get("bounds", {}).items()} == BOUNDS.get(name, {}) or "cmc" in name
    for each in second.get("bounds", {}).values():
        assert each["bound"] <= each["ceiling"] <= math.log(each["candidates"]) + 1e-9
        assert each["saturation"] == pytest.approx(each["bound"] / math.log(each["candidates"]))
        assert 0 <= each["top1"] <= 1
    memory = {
        "moco": {"queue"},
        "moco symmetric": {"queue"},
        "cmc": {"bank"},
        "cmc nce": {"bank"},
        "deepcluster": {"bank"},
        "pirl": {"bank"},
    }
    assert set(second["memory"]) == memory.get(name, set())
    clusters = {"swav": 16, "deepcluster": 8}
    assert second.get("clusters", {}).get("clusters") == clusters.get(name)
    if name in clusters:
        assert 1 <= second["clusters"]["perplexity"] <= second["clusters"]["used"] + 1e-4 <= clusters[name] + 1e-4


def test_every_method_is_measured():
    classes = {getattr(methods, name) for name in methods.__all__}
    concrete = {c for c in classes if isinstance(c, type) and issubclass(c, methods.Method)}
    assert {type(make()) for make in METHODS.values()} == concrete - {methods.Method, methods.MomentumMethod}


def test_the_sample_and_the_views_are_the_same_each_time(digits):
    first, second = (RepresentationMonitor(digits, images=64, pairs=64) for _ in range(2))
    strategy = train("simclr", digits, [first], experiences=1)
    assert second.measure(strategy) == first.events[0]
    assert RepresentationMonitor(digits, images=64, pairs=64, seed=1).measure(strategy) != first.events[0]


def test_a_method_that_is_trained_by_nce_has_the_bound_of_info_nce(digits):
    measured = RepresentationMonitor(digits, images=64, pairs=64)
    strategy = train("cmc nce", digits, [measured], experiences=1)
    assert set(measured.events[0].bounds) == {"l to ab", "ab to l"}
    outputs = strategy.model(textured(16))
    contrastive_scores = strategy.model.contrastive_scores(outputs)
    assert all(c.scores.shape == (16, 65) and c.temperature == 0.07 for c in contrastive_scores.values())


@pytest.mark.parametrize("name, share", [("simclr", 1.0), ("moco", 1.0), ("moco symmetric", 1.0), ("moco v3", 0.4)])
def test_contrasts_are_those_of_the_loss(name, share):
    torch.manual_seed(0)
    method = METHODS[name]()
    method.generator = torch.Generator().manual_seed(0)
    outputs = method(textured(16))
    losses = [info_nce(c.scores, c.temperature) for c in method.contrastive_scores(outputs).values()]
    assert torch.allclose(share * torch.stack(losses).sum(), method.loss(outputs), rtol=1e-5)
    if name == "simclr":
        (contrastive_scores,) = method.contrastive_scores(outputs).values()
        assert contrastive_scores.scores.shape == (32, 33) and contrastive_scores.scores.isfinite().sum(1).eq(31).all()
        assert torch.allclose(nt_xent(outputs["first"], outputs["second"], 0.5), losses[0])


@pytest.mark.slow
def test_staleness_of_a_bank_counts_images_and_not_their_visits(digits):
    """In two passes over each experience: a row is as old as the birth of its image."""
    measured, model = (
        RepresentationMonitor(digits, images=64, pairs=64),
        CMC(tiny, output_dim=8, capacity=1024, count=64),
    )
    strategy = SelfSupervised(
        model=model, optimizer=SGD(model.parameters(), lr=0.01), train_mb_size=32, train_epochs=2, plugins=[measured]
    )
    n_written = []
    for experience in list(digits.train_stream)[:2]:
        strategy.train(experience, eval_streams=[])
        n_written.append(int(model.bank.n_written))
    assert n_written[0] < 1024 < n_written[1] <= sum(len(e.dataset) for e in list(digits.train_stream)[:2])
    first, second = (event.memory["bank"] for event in measured.events)
    assert first == {"rows": 1024, "written": n_written[0], "stale": 0}
    assert second == {
        "rows": 1024,
        "written": 1024,
        "stale": pytest.approx((1024 - (n_written[1] - n_written[0])) / 1024),
    }


def test_staleness_counts_rows_of_earlier_experiences(digits):
    measured = RepresentationMonitor(digits, images=64, pairs=64)
    torch.manual_seed(0)
    model = MoCo(tiny, output_dim=8, queue_size=1024)
    strategy = SelfSupervised(
        model=model, optimizer=SGD(model.parameters(), lr=0.05), train_mb_size=32, plugins=[measured]
    )
    sizes = []
    for experience in digits.train_stream:
        strategy.train(experience, eval_streams=[])
        sizes.append(32 * (len(experience.dataset) // 32))
    ages = model.queue.ages()
    last = measured.events[-1].memory["queue"]
    assert last == {"rows": 1024, "written": 1024, "stale": pytest.approx((ages >= sizes[-1]).float().mean().item())}
    first = measured.events[0].memory["queue"]
    assert first == {"rows": 1024, "written": min(1024, sizes[0]), "stale": 0}


def test_online_parts_count_towards_their_experience(digits):
    measured = RepresentationMonitor(digits, images=64, pairs=64)
    train("moco", digits, [measured], part=lambda e: online_stream(e, 32, seed=0))
    assert [e.experiences_trained for e in measured.events] == [1, 2]
    assert measured.events[1].memory["queue"]["stale"] == 0, "64 rows are overwritten within an experience"


def test_a_collapse_is_a_loud_warning(digits):
    class Same(SimCLR):
        def extract_features(self, x):
            return torch.ones(len(x), 8) + 1e-4 * torch.rand(len(x), 8, generator=torch.Generator().manual_seed(0))

    strategy = train("simclr", digits, experiences=0)
    strategy.model = Same(tiny, output_dim=8)
    with pytest.warns(UserWarning, match=r"Same has COLLAPSED after experience 1: .* 0\.35 is healthy"):
        event = RepresentationMonitor(digits, images=64, pairs=64).measure(strategy)
    assert event.rankme == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("spread, warned", [(0.05, True), (0.1, False)])
def test_a_collapse_is_less_than_a_fifth_of_the_healthy_deviation(digits, spread, warned):
    """Of unit features in 8 dimensions 0.35 is healthy, 0.07 the bound."""

    class Narrow(SimCLR):
        def extract_features(self, x):
            noise = torch.randn(len(x), 8, generator=torch.Generator().manual_seed(0))
            return torch.ones(8) / math.sqrt(8) + spread * noise

    strategy = train("simclr", digits, experiences=0)
    strategy.model = Narrow(tiny, output_dim=8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        event = RepresentationMonitor(digits, images=64, pairs=64).measure(strategy)
    assert event.feature_std == pytest.approx(spread, rel=0.15)
    assert any("COLLAPSED" in str(w.message) for w in caught) == warned


def test_no_warning_where_nothing_has_collapsed(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train("simclr", digits, [RepresentationMonitor(digits, images=64, pairs=64)])


def test_no_drift_without_training(digits):
    measured = RepresentationMonitor(digits, images=64, pairs=64)
    strategy = train("barlow_twins", digits, experiences=0)
    measured.measure(strategy)
    assert measured.measure(strategy).drift_cka == pytest.approx(1, abs=1e-6)


def test_drift_compares_the_features_of_the_first_experience_then_and_now(digits):
    measured = RepresentationMonitor(digits, images=64, pairs=64)
    strategy = train("barlow_twins", digits, experiences=0)
    measured.measure(strategy)
    images = measured._sample(0).dataset(measured.datasets)
    then = strategy.model.eval().extract_features(first := torch.stack([x for x, *_ in images])).detach()
    torch.manual_seed(1)
    strategy.model = METHODS["barlow_twins"]()
    now = strategy.model.eval().extract_features(first).detach()
    drift = measured.measure(strategy).drift_cka
    assert drift == pytest.approx(representation.linear_cka(then, now), abs=1e-4) and drift < 0.99


def test_the_sample_of_a_small_experience_is_filled_up_from_those_before(digits, monkeypatch):
    """An experience of a video shows one thing, whose features are rightly alike: no collapse."""
    sizes = [len(e.dataset) for e in digits.train_stream]
    measured = RepresentationMonitor(digits, images=10_000)
    for few, sampled in [(1, sizes[2]), (sizes[2] + 1, sum(sizes[1:3])), (sum(sizes[:3]) + 1, sum(sizes[:3]))]:
        monkeypatch.setattr(monitor, "MIN_IMAGES", few)
        assert len(measured._sample(2).rows) == sampled
    assert len(measured._sample(0).rows) == sizes[0]


def test_a_long_stream_is_measured_after_the_first_some_and_the_last_experience(short):
    total = len(short.train_stream)
    for every, experiences, trained in [(2, 2, [1, 2]), (10, total, [1, total]), (10, total - 1, [1])]:
        measured = RepresentationMonitor(short, images=64, pairs=64, every_experiences=every)
        train("simclr", short, [measured], experiences, lr=0.01)
        assert [event.experiences_trained for event in measured.events] == trained
        resumed = RepresentationMonitor(short, images=64, pairs=64, every_experiences=every)
        resumed.load_state_dict(measured.state_dict())
        assert resumed.boundaries.completed == experiences
        assert resumed.events == measured.events


def test_samples_are_read_through_frozen_transforms() -> None:
    benchmark, seen = turned((0, 180)), []
    model = METHODS["simclr"]()
    strategy = SelfSupervised(model=model, optimizer=SGD(model.parameters(), lr=0.01), train_mb_size=20)
    extract_features = model.extract_features
    model.extract_features = lambda x: seen.append(x) or extract_features(x)
    probe = RepresentationMonitor(benchmark)
    for t in range(2):
        sample = frozen_images(probe._sample(t).dataset(probe.datasets))
        probe._features(strategy, probe._sample(t))
        torch.testing.assert_close(seen[-1].float() / 255, sample)
        assert len(sample) == 40 * (t + 1), "of the first experience, too, because both are small"


# -- one feature pass ------------------------------------------------------------------------------------------------


def watched(benchmark, plugins, precision="fp32", experiences=2):
    """A MoCo trained with these plugins, and the sizes of all batches that its encoder gave features of."""
    torch.manual_seed(0)
    model, sizes = METHODS["moco"](), []
    extract_features = model.extract_features
    model.extract_features = lambda x: sizes.append(len(x)) or extract_features(x)
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
    strategy = SelfSupervised(
        model=model, optimizer=optimizer, train_mb_size=64, plugins=list(plugins), precision=precision
    )
    sizes.clear()
    for experience in list(benchmark.train_stream)[:experiences]:
        strategy.train(experience, eval_streams=[])
    return strategy, sizes


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_after_a_probe_no_image_is_encoded_again(few, precision):
    """And what is measured is what the monitor measures by itself."""
    alone, beside, probe = RepresentationMonitor(few), RepresentationMonitor(few), ProbePlugin(few)
    _, own = watched(few, [alone], precision)
    _, sizes = watched(few, [probe, beside], precision)
    images = sum(len(e.dataset) for stream in (few.train_stream, few.test_stream) for e in stream)
    assert sum(sizes) == 2 + 3 * images, "a trial, then untrained and after each experience"
    assert sum(own) == 2 + 20 + 20 + 40 + 20, (
        "a trial, untrained, then the samples, and the first one again for the drift"
    )
    for one, other in zip(alone.events, beside.events, strict=True):
        same_event(one, other)
    assert probe.evaluator.latest_pass is None, "nothing is kept after training"


def same_event(one, other):
    mine, theirs = ({k: v for k, v in dataclasses.asdict(e).items() if k != "memory"} for e in (one, other))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        if isinstance(value, float):
            assert theirs[name] == pytest.approx(value, rel=1e-3), name
        elif not isinstance(value, dict):
            assert theirs[name] == value, name


@pytest.mark.parametrize(
    "probe",
    [
        lambda few: ProbePlugin(few, precision="bf16"),
        lambda few: ProbePlugin(few, extract_features=lambda model, x: x.float().mean((2, 3))),
        lambda few: ProbePlugin(
            benchmark_from_datasets(train=datasets(few.train_stream), test=datasets(few.test_stream))
        ),
        lambda few: ProbePlugin(few, probes=[dataclasses.replace(PROTOCOLS["ridge"], every=2)]),
    ],
    ids=["other precision", "other features", "other datasets", "half of the images"],
)
def test_features_of_other_images_or_another_kind_are_not_taken(few, probe):
    alone, beside = RepresentationMonitor(few, precision="fp32"), RepresentationMonitor(few, precision="fp32")
    watched(few, [alone]), watched(few, [probe(few), beside])
    for one, other in zip(alone.events, beside.events, strict=True):
        same_event(one, other)


def datasets(stream):
    return [e.dataset.subset(range(len(e.dataset))) for e in stream]


def test_features_of_other_weights_are_not_taken(few):
    """As after a plugin that changes the weights between the two."""

    class Changed(SupervisedPlugin):
        def after_training_exp(self, strategy, **kwargs):
            with torch.no_grad():
                strategy.model.encoder.stages[0][0].weight.add_(0.02)

    probe, beside = ProbePlugin(few), RepresentationMonitor(few)
    strategy, sizes = watched(few, [probe, Changed(), beside], experiences=1)
    assert sum(sizes) == 2 + 2 * (40 + 14) + 20, "the sample is encoded by the new weights"
    (event,) = beside.events
    assert event.feature_std == RepresentationMonitor(few).measure(strategy).feature_std


def test_vitals_are_measured_in_the_precision_of_training(few):
    """Features and embeddings, or in the one that is named."""
    dtypes = []

    def watch(strategy):
        strategy.model.encoder.stages[0][0].register_forward_hook(lambda m, i, o: dtypes.append(o.dtype))
        return strategy

    def measured(trained, precision="auto"):
        dtypes.clear()
        event = RepresentationMonitor(few, precision=precision).measure(
            watch(watched(few, [], trained, experiences=0)[0])
        )
        return event, set(dtypes)

    exact, kind = measured("fp32")
    assert kind == {torch.float32}
    rounded, kind = measured("bf16")
    assert kind == {torch.bfloat16}
    named, kind = measured("bf16", "fp32")
    assert kind == {torch.float32}
    assert named == exact != rounded
    for name in ("feature_std", "embedding_std", "alignment"):
        assert getattr(rounded, name) == pytest.approx(getattr(exact, name), rel=0.1)
