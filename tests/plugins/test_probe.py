"""`ProbePlugin`: the accuracy matrix at the right moments, its events and values, and that it changes nothing."""

import dataclasses
import json
import math
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import CLScenario
from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.supervised import Naive
from helpers.consolidation import consolidation
from helpers.encoders import tiny
from helpers.naive_probes import features, naive_row
from helpers.probing import Listener, corner, moco

from avalanche_ssl import ProbePlugin, streams
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import ProbeSchedule, accuracy_curve
from avalanche_ssl.logging import (
    ConsolidationEvent,
    CurveEvent,
    Event,
    FrozenProbeEvent,
    FullTestEvent,
    ProbeEvent,
    TaskEvent,
)
from avalanche_ssl.probes import PROTOCOLS, SGDClassifier, accuracy
from avalanche_ssl.streams import digits_on_photographs, online_stream
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.training import AvalancheReplay


@pytest.fixture(scope="module")
def pair() -> Any:
    """Two experiences of some 1,200 digits."""
    return digits_on_photographs(experiences=2, composites=2)


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rows_equal_a_naive_recomputation_with_scikit_learn(pair: Any) -> None:
    probe = ProbePlugin(pair)
    learner = moco(probe, batch_size=128)
    expected = [naive_row(learner.model, pair, [])]
    for t, experience in enumerate(pair.train_stream):
        learner.train(experience, eval_streams=[])
        expected.append(naive_row(learner.model, pair, range(t + 1)))
    for scope in ("all", "seen", "task"):
        measured = np.stack([row[scope] for row in probe.rows])
        np.testing.assert_allclose(measured, np.stack([row[scope] for row in expected]), atol=0.005)
        np.testing.assert_array_equal(probe.matrix(scope), measured[1:])
        np.testing.assert_array_equal(probe.untrained(scope), measured[0])
    assert len({tuple(row["all"]) for row in probe.rows}) == 3, "training changes what is measured"


def test_scopes_and_matrix_during_training(few: Any) -> None:
    probe = ProbePlugin(few, scopes=["seen", "task"])
    learner = moco(probe)
    assert (probe.trained, probe.rows) == (0, [])
    learner.train(few.train_stream[0], eval_streams=[])
    assert probe.trained == 1
    assert probe.rows[0].keys() == {"seen", "task"}
    assert np.isnan(probe.untrained("seen")).all()
    seen = probe.matrix("seen")
    assert seen.shape == (2, 2)
    assert not np.isnan(seen[0, 0])
    assert np.isnan(seen[0, 1]) and np.isnan(seen[1]).all()
    assert not np.isnan(probe.matrix("task")[0]).any()
    assert learner.probe(torch.zeros(1, 32)).shape == (1, 4), "the logits of eval() are those of all classes"


def test_measuring_changes_nothing(few: Any) -> None:
    probe = ProbePlugin(few)
    learner = moco(probe)
    learner.train(few.train_stream[0], eval_streams=[])
    before = {k: v.clone() for k, v in learner.model.state_dict().items()}
    drawn = torch.get_rng_state(), learner.view_generator.get_state(), learner.order_generator.get_state()
    learner.model.train()
    probe.measure(learner)
    assert all(torch.equal(v, before[k]) for k, v in learner.model.state_dict().items())
    after = torch.get_rng_state(), learner.view_generator.get_state(), learner.order_generator.get_state()
    assert all(torch.equal(a, b) for a, b in zip(drawn, after))
    assert learner.model.training
    for scope in ("all", "task"):
        np.testing.assert_array_equal(probe.rows[-1][scope], probe.rows[-2][scope])


# -- moments ---------------------------------------------------------------------------------------------------------


def test_online_parts_are_measured_at_the_boundary_of_their_experience(few: Any) -> None:
    events: list[Event] = []
    probe = ProbePlugin(few, log=events.append)
    learner = moco(probe)
    rows = []
    for part in online_stream(few.train_stream, 8):
        learner.train(part, eval_streams=[])
        rows.append(len(probe.rows))
    assert rows == [1, 1, 2, 2, 2, 3]  # 20 images are parts of 8, 8 and 4
    assert [e.images_trained for e in of(events, ProbeEvent) if e.scope == "all"] == [0, 0, 20, 20, 40, 40]


def test_online_as_one_stream_gives_the_same(few: Any) -> None:
    each, at_once = ProbePlugin(few), ProbePlugin(few)
    learner = moco(each)
    for part in online_stream(few.train_stream, 8):
        learner.train(part, eval_streams=[])
    moco(at_once).train(online_stream(few.train_stream, 8), eval_streams=[])
    np.testing.assert_array_equal(each.matrix("all"), at_once.matrix("all"))


def test_eval_fits_a_probe_only_when_training_went_on(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = ProbePlugin(few)
    fits = []
    fit = probe.evaluator._fit
    monkeypatch.setattr(
        probe.evaluator,
        "_fit",
        lambda strategy, train, seen, probes: fits.append(len(seen)) or fit(strategy, train, seen, probes),
    )
    learner = moco(probe)
    learner.eval(few.test_stream)
    assert fits == [0], "an untrained encoder is scored as well"
    learner.eval(few.test_stream)
    assert fits == [0]
    learner.train(few.train_stream[0], eval_streams=[])
    assert fits == [0, 0, 1]
    learner.eval(few.test_stream)
    assert fits == [0, 0, 1], "the probe of the boundary is good"


def test_eval_in_the_middle_of_an_experience_fits_the_encoder_as_it_is(few: Any) -> None:
    probe = ProbePlugin(few)
    fitted = {}
    watch = SupervisedPlugin()
    watch.before_eval = lambda learner, **_: fitted.update({learner.clock.train_iterations: learner.probe})
    learner = moco(probe, watch, eval_every=1, epochs=2)
    learner.train(few.train_stream[0], eval_streams=[few.test_stream])
    assert fitted.keys() == {0, 2, 4}
    assert len({id(p) for p in fitted.values()}) == 3


def test_eval_fits_a_probe_for_weights_that_were_loaded_after_training(few: Any) -> None:
    metrics = accuracy_metrics(experience=True)
    learner = moco(ProbePlugin(few), evaluator=EvaluationPlugin(metrics, loggers=[Listener()]))
    learner.train(few.train_stream[0], eval_streams=[])
    (clock, fitted), weights = (learner.clock.train_iterations, learner.probe), learner.model.encoder.state_dict()
    turned = {k: -v if k.endswith("weight") else v for k, v in weights.items()}
    learner.model.encoder.load_state_dict(turned)
    found = learner.eval(few.test_stream)
    assert learner.clock.train_iterations == clock and learner.probe is not fitted
    fresh = ProbePlugin(few)
    fresh.measure(learner)
    scores = [found[f"Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp{j:03d}"] for j in range(2)]
    np.testing.assert_allclose(scores, fresh.untrained("all"))


def test_eval_gives_the_accuracy_of_the_all_probe(few: Any) -> None:
    probe = ProbePlugin(few)
    learner = moco(probe, evaluator=EvaluationPlugin(accuracy_metrics(experience=True), loggers=[Listener()]))
    learner.train(few.train_stream[0], eval_streams=[])
    found = learner.eval(few.test_stream)
    scores = [found[f"Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp{j:03d}"] for j in range(2)]
    np.testing.assert_allclose(scores, probe.matrix("all")[0])


def test_more_experiences_than_the_benchmark_has(few: Any) -> None:
    probe = ProbePlugin(few)
    learner = moco(probe)
    for experience in [*few.train_stream, few.train_stream[0]]:
        learner.train(experience, eval_streams=[])
    assert (probe.trained, len(probe.rows)) == (2, 4)
    assert probe.matrix("seen").shape == (2, 2)
    assert not np.isnan(probe.rows[3]["seen"]).any()


# -- events ----------------------------------------------------------------------------------------------------------


def test_events_count_images_and_seconds(few: Any) -> None:
    events: list[Event] = []
    learner = moco(ProbePlugin(few, log=events.append), ReplayPlugin(mem_size=10), epochs=2)
    for experience in few.train_stream:
        learner.train(experience, eval_streams=[])
    assert isinstance(events.pop(), ConsolidationEvent)
    assert {type(e) for e in events} == {ProbeEvent, FrozenProbeEvent}
    events = of(events, ProbeEvent)
    assert {(e.experiences_trained, e.images_trained) for e in events} == {(0, 0), (1, 40), (2, 120)}, (
        "passes and replay count"
    )
    seconds = [e.seconds for e in events]
    assert seconds[0] == 0 and seconds == sorted(seconds) and seconds[-1] > 0
    assert {(e.experiences_trained, e.experience) for e in events if e.scope == "seen"} == {(1, 1), (2, 1), (2, 2)}
    json.dumps([event.fields() for event in events])


def test_avalanches_loggers_receive_the_values(few: Any) -> None:
    listener, probe = Listener(), ProbePlugin(few)
    metrics = accuracy_metrics(experience=True)
    learner = moco(probe, evaluator=EvaluationPlugin(metrics, loggers=[listener]))
    learner.train(few.train_stream[0], eval_streams=[])
    received = {k: v for k, v in listener.values.items() if k[1].startswith("Probe_")}
    expected = {
        (2 * t, f"Probe_ridge_{scope}/eval_phase/test_stream/Exp{j:03d}"): row[scope][j]
        for t, row in enumerate(probe.rows)
        for scope in ("all", "seen", "task")
        for j in range(2)
        if not np.isnan(row[scope][j])
    }
    assert received == expected


def test_consolidation_is_logged_once_after_the_last_experience(few: Any) -> None:
    events: list[Event] = []
    plugin = ProbePlugin(few, log=events.append)
    learner = moco(plugin)
    for experience in few.train_stream:
        assert math.isnan(plugin.consolidation)
        learner.train(experience, eval_streams=[])
    (event,) = of(events, ConsolidationEvent)
    train, test = ([x for x, _ in features(learner.model, part)] for part in (plugin.train, plugin.test))
    assert event.accuracy == pytest.approx(consolidation(train, test))
    assert (event.experiences_trained, event.chance) == (2, 0.5)


@pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
def test_every_third_experience_is_measured_with_its_tasks(core50_root: Path) -> None:
    benchmark = streams.core50_stream("ni", core50_root, size=16)
    plugin, events = trained_on(benchmark, every_experiences=3, scopes=["all"])
    assert {e.experiences_trained for e in of(events, ProbeEvent)} == {0, 3, 6, 8}
    assert np.isnan(plugin.matrix("all")).all(1).tolist() == [True, True, False, True, True, False, True, False]
    assert [trained for trained, _ in plugin.task_results] == [0, 3, 6, 8]
    tasks = of(events, TaskEvent)
    assert len(tasks) == 4 * 4
    for trained, found in plugin.task_results:  # the same classifier: sessions and objects have equally many images
        assert found[0].accuracy == pytest.approx(plugin.rows[trained]["all"].mean())
    fields = {
        "experiences_trained",
        "images_trained",
        "probe",
        "task",
        "accuracy",
        "chance",
        "by_group",
        "full_test_set",
    }
    assert tasks[-1].fields().keys() == fields and not any(event.full_test_set for event in tasks)
    assert not plugin.full_test_accuracies and not plugin.full_test_results, "this probe uses all images anyway"
    assert tasks[0].by_group["session"].keys() == {"s3", "s7", "s10"}
    copy = ProbePlugin(benchmark, every_experiences=3, scopes=["all"])
    copy.load_state_dict(plugin.state_dict())
    assert copy.task_results == plugin.task_results
    assert copy.trained == 8 and np.array_equal(copy.matrix("all"), plugin.matrix("all"), equal_nan=True)
    with pytest.raises(UsageError, match="'every_experiences' is 0"):
        ProbePlugin(benchmark, every_experiences=0)


@pytest.mark.slow
@pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
@pytest.mark.parametrize("probes", [["core50"], ["ridge", "core50@50%"]])
def test_the_last_encoder_is_tested_on_all_frames_too(core50_root: Path, probes: list[str]) -> None:
    """Each frame once, though all experiences of NI are tested on the same; the matrix keeps to its one in 20."""
    benchmark = streams.core50_stream("ni", core50_root, size=16)
    plugin, events = trained_on(benchmark, probes=probes)
    *_, name = probes
    (event,) = of(events, FullTestEvent)
    fields = {"probe": name, "scope": "all", "images_tested": 300, "caveat": PROTOCOLS["core50"].caveat}
    assert event.fields().items() >= fields.items() and event.experiences_trained == 8
    assert plugin.full_test_accuracies == {name: event.accuracy}
    tasks = [event for event in of(events, TaskEvent) if event.full_test_set]
    assert [e.task for e in tasks] == ["object", "category", "new instance"]
    assert [e.accuracy for e in tasks] == [found.accuracy for found in plugin.full_test_results]
    for grouping in ("session", "object"):
        groups = plugin.full_test_results[0].by_group[grouping]
        assert np.mean(list(groups.values())) == pytest.approx(plugin.full_test_results[0].accuracy)
    copy = ProbePlugin(benchmark, probes=probes)
    copy.load_state_dict(plugin.state_dict())
    assert copy.full_test_accuracies == plugin.full_test_accuracies
    assert copy.full_test_results == plugin.full_test_results


def trained_on(benchmark: Any, **options: Any) -> tuple[ProbePlugin, list[Event]]:
    events: list[Event] = []
    plugin = ProbePlugin(benchmark, log=events.append, **options)
    strategy = corner(plugin, batch_size=64, epochs=1)
    for experience in benchmark.train_stream:
        strategy.train(experience, eval_streams=[])
    return plugin, events


@pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
def test_only_the_last_row_has_a_full_test(core50_root: Path) -> None:
    plugin = ProbePlugin(streams.core50_stream("nic", core50_root, size=16), probes=["core50"], every_experiences=79)
    strategy = corner(plugin)
    plugin.boundaries.order = list(range(78))  # as if so many experiences had been trained on
    plugin.measure(strategy)
    assert not plugin.full_test_accuracies, "not the last"
    plugin.boundaries.order.append(78)
    plugin.measure(strategy)
    assert plugin.full_test_accuracies.keys() == {"core50"} and len(plugin.full_test_results) == 3


# -- between boundaries ----------------------------------------------------------------------------------------------


def online(plugin: ProbePlugin, benchmark: Any, **settings: Any) -> Any:
    strategy = moco(plugin, batch_size=4, **settings)
    strategy.train(online_stream(benchmark.train_stream, 4), eval_streams=[])
    return strategy


def test_the_schedule_gives_a_curve_over_images_seen(few: Any) -> None:
    events: list[Event] = []
    probe = ProbePlugin(few, schedule=ProbeSchedule(every=8), log=events.append)
    online(probe, few, epochs=2)
    curve = of(events, CurveEvent)
    at = [e.images_seen for e in curve if e.scope == "all"]
    assert at == [0, 8, 16, 20, 24, 32, 40], "the boundaries, too"
    assert [e.images_seen for e in curve if e.scope == "seen"] == at[1:], "the experience under way counts as seen"
    assert [e.images_trained for e in curve if e.scope == "all"] == [2 * n for n in at]
    assert [e.experiences_trained for e in curve if e.scope == "all"] == [0, 0, 0, 1, 1, 1, 2]
    assert probe.curve == curve
    rows = [e for e in of(events, ProbeEvent) if e.scope == "all"]
    assert {e.experiences_trained for e in rows} == {0, 1, 2}, "the matrix is of boundaries"
    for trained, seen in {0: 0, 1: 20, 2: 40}.items():
        mean = sum(e.accuracy for e in rows if e.experiences_trained == trained) / 2
        assert dict(accuracy_curve(probe.curve, "ridge", "all"))[seen] == pytest.approx(mean)


def test_replayed_images_count_as_trained_but_not_as_seen(few: Any) -> None:
    probe = ProbePlugin(few, schedule=ProbeSchedule(every=8))
    strategy = moco(
        probe, AvalancheReplay(20, batch_size_mem=4, storage_policy=ReservoirSamplingBuffer(20)), batch_size=4, epochs=2
    )
    strategy.train(online_stream(few.train_stream, 4), eval_streams=[])
    assert [e.images_trained for e in probe.curve if e.scope == "all"] == [0, 24, 56, 72, 88, 120, 152]


def test_the_experience_under_way_counts_as_seen(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not the next one at a boundary that is no row of the matrix."""
    probe = ProbePlugin(few, schedule=ProbeSchedule(every=4), every_experiences=2)
    measure, counted = probe._evaluate, []
    monkeypatch.setattr(probe, "_evaluate", lambda learner, seen: counted.append(len(seen)) or measure(learner, seen))
    online(probe, few)
    assert counted == [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_a_schedule_changes_nothing_else(few: Any) -> None:
    without, scheduled = ProbePlugin(few), ProbePlugin(few, schedule=ProbeSchedule(every=4))
    left, right = (online(plugin, few, seed=0).model.state_dict() for plugin in (without, scheduled))
    assert all(torch.equal(left[name], right[name]) for name in left)
    assert (without.matrix("all") == scheduled.matrix("all")).all()
    assert without.consolidation == scheduled.consolidation
    assert not without.curve and len(scheduled.curve) > 20


# -- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "expected"), [("auto", "bf16"), ("fp32", "fp32")])
def test_events_say_the_precision_of_the_features(few: Any, precision: Any, expected: str) -> None:
    """And the logits of `eval` are of the features that the probe was fitted on."""
    events: list[Event] = []
    probe = ProbePlugin(few, log=events.append, schedule=ProbeSchedule(every=20), precision=precision)
    listener = Listener()
    evaluator = EvaluationPlugin(accuracy_metrics(experience=True), loggers=[listener])
    learner = moco(probe, precision="bf16", evaluator=evaluator)
    found: list[torch.Tensor] = []
    extract_features = learner.model.extract_features
    learner.model.extract_features = lambda x: found.append(extract_features(x)) or found[-1]
    learner.train(few.train_stream[0], eval_streams=[])
    learner.eval(few.test_stream)
    assert {e.precision for kind in (ProbeEvent, CurveEvent) for e in of(events, kind)} == {expected}
    dtypes = {z.dtype for z in found[1:]}  # the first is the trial's
    assert dtypes == {torch.bfloat16 if expected == "bf16" else torch.float32}
    for j in range(2):
        name = f"Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp00{j}"
        assert [v for (_, n), v in listener.values.items() if n == name] == [pytest.approx(probe.rows[-1]["all"][j])]


def test_an_unknown_precision_is_refused(few: Any) -> None:
    with pytest.raises(UsageError, match="no precision of evaluation 'half': choose one"):
        ProbePlugin(few, precision="half")  # type: ignore[arg-type]


# -- several probes ---------------------------------------------------------------------------------------------------

SHORT = [
    p if not p.augment else dataclasses.replace(p, classifier_for=lambda experiences_trained: SGDClassifier(epochs=2))
    for p in PROTOCOLS.values()
]


@pytest.mark.contract
@pytest.mark.parametrize("probe", SHORT, ids=lambda p: p.name)
def test_no_probe_changes_training(few: Any, probe: Any) -> None:
    """Weights, buffers, memory, optimizer and random states are bit-identical with and without the probe."""

    def train(*plugins: Any) -> Any:
        torch.manual_seed(0), np.random.seed(0), random.seed(0)
        learner = moco(*plugins, epochs=2)
        for experience in few.train_stream:
            learner.train(experience, eval_streams=[])
        return learner

    measured, plain = train(ProbePlugin(few, probes=[probe])), train()
    theirs = plain.model.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in measured.model.state_dict().items())
    moments = [[s["momentum_buffer"] for s in learner.optimizer.state.values()] for learner in (measured, plain)]
    assert moments[0] and all(torch.equal(a, b) for a, b in zip(*moments))
    states = [
        (learner.view_generator.get_state(), learner.order_generator.get_state()) for learner in (measured, plain)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*states))


@pytest.mark.contract
@pytest.mark.parametrize("probe", SHORT, ids=lambda p: p.name)
def test_no_probe_draws_a_global_random_number(few: Any, probe: Any) -> None:
    learner = moco(plugin := ProbePlugin(few, probes=[probe]))
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    state = {k: v.clone() for k, v in learner.model.state_dict().items()}
    learner.model.train()
    plugin.measure(learner)
    assert learner.model.training and all(torch.equal(v, state[k]) for k, v in learner.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in learner.model.encoder.parameters())
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[2]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1]))


def test_several_probes_share_one_pass_and_keep_their_names(few: Any) -> None:
    events: list[Event] = []
    listener = Listener()
    probe = ProbePlugin(few, probes=["ridge", "knn-20@50%", "lump"], log=events.append)
    learner = moco(probe, evaluator=EvaluationPlugin(loggers=[listener]))
    images = []
    extract_features = learner.model.extract_features
    learner.model.extract_features = lambda x: images.append(len(x)) or extract_features(x)
    learner.train(few.train_stream[0], eval_streams=[])
    assert images == [2, *[40, 14] * 2], "a trial, then untrained and after the experience each image once"
    assert probe.rows[0].keys() == {
        "all",
        "seen",
        "task",
        "knn-20@50%/all",
        "knn-20@50%/seen",
        "knn-20@50%/task",
        "lump/task",
    }
    assert {(e.probe, e.scope) for e in of(events, ProbeEvent)} == {
        *((p, s) for p in ("ridge", "knn-20@50%") for s in ("all", "seen", "task")),
        ("lump", "task"),
    }
    assert "Probe_lump_task/eval_phase/test_stream/Exp001" in {name for _, name in listener.values}
    np.testing.assert_array_equal(probe.matrix("task", "lump")[0], probe.rows[1]["lump/task"])
    np.testing.assert_array_equal(probe.matrix("all", "ridge"), probe.matrix("all"))
    assert [len(y) for _, y in probe.latest] == [5, 9]


def test_an_ordinary_strategy_of_avalanche_is_probed_by_a_function_of_its_model(few: Any) -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.classifier = tiny(), torch.nn.Linear(32, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.classifier(self.body(x.float() / 255))

    def naive(*plugins: Any) -> Naive:
        torch.manual_seed(0)
        model = Network()
        evaluator = EvaluationPlugin(loggers=[listener])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        return Naive(model=model, optimizer=optimizer, train_mb_size=10, plugins=list(plugins), evaluator=evaluator)

    listener = Listener()
    probe = ProbePlugin(few, extract_features=lambda model, x: model.body(x.float() / 255))
    naive(probe).train(few.train_stream[0])
    assert probe.matrix("all").shape == (2, 2) and np.isfinite(probe.matrix("all")[0]).all()
    assert (2, "Probe_ridge_all/eval_phase/test_stream/Exp001") in listener.values
    with pytest.raises(UsageError, match=r"Network has no method extract_features\(x\): give ProbePlugin\(\.\.\., ext"):
        naive(ProbePlugin(few)).train(few.train_stream[0])


# -- frozen probes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three() -> Any:
    """Three experiences of 24 images in two classes each, which noise hides."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(6), 12)
    images = rng.integers(0, 200, (72, 16, 16, 3)) + 9 * targets[:, None, None, None]
    data = ArrayDataset(images.astype(np.uint8), targets)
    parts = [np.flatnonzero(targets // 2 == j) for j in range(3)]
    return benchmark_from_parts(data, parts, data, parts, list("abcdef"))


def keeping(benchmark: Any, stream: Any, order: list[int], **options: Any) -> Any:
    """A plugin after a stream, its events, and the matrix F of probes that are fitted and kept by hand."""
    events: list[Event] = []
    probe = ProbePlugin(benchmark, log=events.append, **options)
    kept: dict[int, Any] = {}
    rows = []

    def watch(learner: Any, **_: Any) -> None:
        if not probe.measured or probe.boundaries.under_way or len(rows) == probe.trained:
            return
        train, test = (probe.evaluator.features(learner, part) for part in (probe.train, probe.test))
        fitted = PROTOCOLS["ridge"].fit(train, 6, probe.boundaries.order)
        kept.update({j: fitted["all"][j] for j in probe.boundaries.order if j not in kept})
        rows.extend([[math.nan] * 3] * (probe.trained - len(rows) - 1))
        rows.append([accuracy(kept[j], *test[j]) if j in kept else math.nan for j in order])

    after = SupervisedPlugin()
    after.after_training_exp = watch
    moco(probe, after, epochs=6).train(stream, eval_streams=[])
    return probe, of(events, FrozenProbeEvent), np.array(rows)


@pytest.mark.parametrize("how", ["in order", "reversed", "online", "every second"])
def test_old_probes_are_tested_on_later_encoders(three: Any, how: str) -> None:
    order = [2, 1, 0] if how == "reversed" else [0, 1, 2]
    stream = three.train_stream if how != "reversed" else list(reversed(three.train_stream))
    stream = online_stream(stream, 8) if how == "online" else stream
    probe, events, expected = keeping(three, stream, order, every_experiences=2 if how == "every second" else 1)
    np.testing.assert_array_equal(probe.frozen_matrix("all"), expected)
    assert {e.scope for e in events} == {"all", "seen", "task"} and {e.probe for e in events} == {"ridge"}
    if how != "every second":
        refitted = probe.matrix("all")
        np.testing.assert_array_equal(expected.diagonal(), refitted.diagonal())
        assert (expected[2, :2] != refitted[2, :2]).any(), "the encoder has changed"
    fitted = {e.experience: e.fitted_after for e in events}
    places = {j + 1: place for place, j in enumerate(order, 1)}
    assert fitted == ({1: 2, 2: 2, 3: 3} if how == "every second" else places)
    for e in events:
        if e.scope == "all":
            assert e.accuracy == expected[e.experiences_trained - 1, order.index(e.experience - 1)]


@pytest.mark.parametrize("probes", [["knn-20", "ridge"], ["cassle-online", "ridge"]])
def test_a_headline_that_is_no_linear_map_is_not_kept(few: Any, probes: list[str]) -> None:
    events: list[Event] = []
    probe = ProbePlugin(few, probes=probes, log=events.append)
    moco(probe).train(few.train_stream, eval_streams=[])
    assert not of(events, FrozenProbeEvent) and np.isnan(probe.frozen_matrix("all")).all()


def test_on_one_test_set_no_probe_is_kept(few: Any) -> None:
    """No test data belong to an experience."""
    events: list[Event] = []
    probe = ProbePlugin(CLScenario([few.train_stream, few.test_stream[:1]]), log=events.append)
    moco(probe).train(few.train_stream, eval_streams=[])
    assert not of(events, FrozenProbeEvent) and np.isnan(probe.frozen_matrix("all")).all()
    assert probe.state_dict()["history"]["frozen"] == {"probes": [], "rows": {}}


def test_old_probes_go_through_a_checkpoint(three: Any) -> None:
    whole, _, _ = keeping(three, three.train_stream, [0, 1, 2])
    first = ProbePlugin(three)
    learner = moco(first, epochs=6)
    learner.train(three.train_stream[:2], eval_streams=[])
    second = ProbePlugin(three)
    second.load_state_dict(first.state_dict())
    learner.plugins[learner.plugins.index(first)] = second
    learner.train(three.train_stream[2], eval_streams=[])
    for scope in ("all", "seen", "task"):
        np.testing.assert_array_equal(second.frozen_matrix(scope), whole.frozen_matrix(scope))


def test_a_strategy_with_probes_can_be_pickled(few: Any) -> None:
    learner = moco(ProbePlugin(few))
    learner.train(few.train_stream[0], eval_streams=[])
    copied = pickle.loads(pickle.dumps(learner))
    for each in (learner, copied):
        each.train(few.train_stream[1], eval_streams=[])
    np.testing.assert_array_equal(*(each.plugins[0].matrix("all") for each in (learner, copied)))
    states = [each.model.state_dict() for each in (learner, copied)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
