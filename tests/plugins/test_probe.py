"""Does `ProbePlugin` keep the right matrix, at the right moments, and tell everybody? And `results`, `log`?"""

import csv
import dataclasses
import json
import math
import random
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.core import SupervisedPlugin
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.logging import BaseLogger
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from avalanche.training.supervised import Naive
from helpers.consolidation import consolidation
from helpers.encoders import tiny
from PIL import Image
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avalanche_ssl import ProbePlugin, Recipe
from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging.jsonl import JSONLinesLogger
from avalanche_ssl.methods import MoCo
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.probes.label_subsets import _hold_out
from avalanche_ssl.probes.protocols import PROTOCOLS, get_protocol
from avalanche_ssl.probes.ridge import GRID
from avalanche_ssl.probes.scopes import probe_accuracies
from avalanche_ssl.probes.sgd import SGDClassifier
from avalanche_ssl.runs import csv_files, plots, summary
from avalanche_ssl.streams import online_stream, split_digits
from avalanche_ssl.streams.benchmark import assemble


@pytest.fixture(scope="module")
def pair() -> Any:
    """Two experiences of some 1,200 digits."""
    return split_digits(experiences=2, composites=2)


@pytest.fixture(scope="module")
def few() -> Any:
    """Two experiences of 20 pictures in two classes each; the sizes of the test data differ."""
    rng = np.random.default_rng(0)
    targets, tested = np.repeat(np.arange(4), 10), np.repeat(np.arange(4), [2, 3, 4, 5])

    def pictures(labels: Any) -> ArrayDataset:
        noise = rng.integers(0, 60, (len(labels), 16, 16, 3))
        return ArrayDataset((noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels)

    parts = [np.flatnonzero(targets // 2 == j) for j in range(2)], [np.flatnonzero(tested // 2 == j) for j in range(2)]
    return assemble(pictures(targets), parts[0], pictures(tested), parts[1], list("abcd"))


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


def strategy(*plugins: Any, batch_size: int = 10, epochs: int = 1, **settings: Any) -> Any:
    recipe = Recipe(partial(MoCo, output_dim=8, queue_size=16), batch_size=batch_size, epochs=epochs)
    return recipe.build(plugins=list(plugins), **settings)


class Notes(list[dict[str, Any]]):
    """A log in memory."""

    def __call__(self, event: str, **fields: Any) -> None:
        self.append({"event": event} | fields)


class Listener(BaseLogger):
    """A logger in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[int, str], float] = {}

    def log_single_metric(self, name: str, value: float, x_plot: int) -> None:
        self.values[x_plot, name] = value


# -- values ----------------------------------------------------------------------------------------------------------


def features(model: Any, datasets: Any) -> list[tuple[Any, Any]]:
    """Image by image, as nobody would do it."""
    model.eval()
    found = []
    for dataset in datasets:
        items = [dataset[i] for i in range(len(dataset))]
        with torch.no_grad():
            rows = torch.cat([model.extract_features(x[None]) for x, *_ in items])
        found.append((rows.double().numpy(), np.array([int(y) for _, y, *_ in items])))
    model.train()
    return found


def ridge(l2: float) -> Any:
    return make_pipeline(StandardScaler(), RidgeClassifier(alpha=l2))


def fitted(experiences: list[tuple[Any, Any]], share: int) -> Any:
    """scikit-learn's classifier, its strength chosen on the part of each experience that is held out."""
    held = [_hold_out(torch.tensor(y), min(0.1, share / len(y)), 0).numpy() for _, y in experiences]
    parts = [
        [np.concatenate([data[k][mask if out else ~mask] for data, mask in zip(experiences, held)]) for k in (0, 1)]
        for out in (False, True)
    ]
    (x, y), (held_x, held_y) = parts
    best = max(GRID, key=lambda l2: (ridge(l2).fit(x, y).score(held_x, held_y), l2))
    return ridge(best).fit(np.concatenate([x, held_x]), np.concatenate([y, held_y]))


def naive(model: Any, benchmark: Any, seen: int) -> dict[str, Any]:
    """A row of each scope, from the words of the documentation."""
    train = features(model, [e.dataset for e in benchmark.train_stream])
    test = features(model, [e.dataset for e in benchmark.test_stream])
    share = 5000 // len(train)
    whole = fitted(train, share)
    rows = {"all": [whole.score(*t) for t in test], "seen": [math.nan] * len(test)}
    if seen:
        so_far = fitted(train[:seen], share)
        rows["seen"][:seen] = [so_far.score(*t) for t in test[:seen]]
    rows["task"] = [fitted([one], share).score(*t) for one, t in zip(train, test)]
    return {scope: np.array(row) for scope, row in rows.items()}


def test_rows_equal_a_naive_recomputation_with_scikit_learn(pair: Any) -> None:
    probe = ProbePlugin(pair)
    learner = strategy(probe, batch_size=128)
    expected = [naive(learner.model, pair, 0)]
    for t, experience in enumerate(pair.train_stream):
        learner.train(experience, eval_streams=[])
        expected.append(naive(learner.model, pair, t + 1))
    for scope in ("all", "seen", "task"):
        measured = np.stack([row[scope] for row in probe.rows])
        np.testing.assert_allclose(measured, np.stack([row[scope] for row in expected]), atol=0.005)
        np.testing.assert_array_equal(probe.matrix(scope), measured[1:])
        np.testing.assert_array_equal(probe.untrained(scope), measured[0])
    assert len({tuple(row["all"]) for row in probe.rows}) == 3, "training changes what is measured"


def test_scopes_and_matrix_while_learning(few: Any) -> None:
    probe = ProbePlugin(few, scopes=["seen", "task"])
    learner = strategy(probe)
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


def test_one_pass_over_the_features_serves_all_scopes(few: Any) -> None:
    class Counted(MoCo):
        images = 0

        def extract_features(self, x: torch.Tensor) -> torch.Tensor:
            type(self).images += len(x)
            return super().extract_features(x)

    probe = ProbePlugin(few)
    Recipe(partial(Counted, dim=8, queue_size=16)).build(plugins=[probe]).plugins[0].measure(
        strategy := Recipe(partial(Counted, dim=8, queue_size=16)).build()
    )
    assert Counted.images == 40 + 14
    assert strategy.probe is not None


def test_measuring_changes_nothing(few: Any) -> None:
    probe = ProbePlugin(few)
    learner = strategy(probe)
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
    notes = Notes()
    probe = ProbePlugin(few, log=notes)
    learner = strategy(probe)
    rows = []
    for part in online_stream(few.train_stream, 8):
        learner.train(part, eval_streams=[])
        rows.append(len(probe.rows))
    assert rows == [1, 1, 2, 2, 2, 3]  # 20 images are parts of 8, 8 and 4
    assert [e["images"] for e in notes if e.get("scope") == "all"] == [0, 0, 20, 20, 40, 40]


def test_online_as_one_stream_gives_the_same(few: Any) -> None:
    each, whole = ProbePlugin(few), ProbePlugin(few)
    learner = strategy(each)
    for part in online_stream(few.train_stream, 8):
        learner.train(part, eval_streams=[])
    strategy(whole).train(online_stream(few.train_stream, 8), eval_streams=[])
    np.testing.assert_array_equal(each.matrix("all"), whole.matrix("all"))


def test_eval_fits_a_probe_only_when_training_went_on(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = ProbePlugin(few)
    fits = []
    fit = probe._fit
    monkeypatch.setattr(probe, "_fit", lambda *given, seen: fits.append(seen) or fit(*given, seen=seen))
    learner = strategy(probe)
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
    watch.before_eval = lambda strategy, **_: fitted.update({strategy.clock.train_iterations: strategy.probe})
    learner = strategy(probe, watch, eval_every=1, epochs=2)
    learner.train(few.train_stream[0], eval_streams=[few.test_stream])
    assert fitted.keys() == {0, 2, 4}
    assert len({id(p) for p in fitted.values()}) == 3


def test_eval_gives_the_accuracy_of_the_all_probe(few: Any) -> None:
    probe = ProbePlugin(few)
    learner = strategy(probe, evaluator=EvaluationPlugin(accuracy_metrics(experience=True), loggers=[Listener()]))
    learner.train(few.train_stream[0], eval_streams=[])
    found = learner.eval(few.test_stream)
    scores = [found[f"Top1_Acc_Exp/eval_phase/test_stream/Task000/Exp{j:03d}"] for j in range(2)]
    np.testing.assert_allclose(scores, probe.matrix("all")[0])


def test_more_experiences_than_the_benchmark_has(few: Any) -> None:
    probe = ProbePlugin(few)
    learner = strategy(probe)
    for experience in [*few.train_stream, few.train_stream[0]]:
        learner.train(experience, eval_streams=[])
    assert probe.trained == 3
    assert probe.matrix("seen").shape == (2, 2)
    assert not np.isnan(probe.rows[3]["seen"]).any()


# -- messages --------------------------------------------------------------------------------------------------------


def test_events_tell_images_and_seconds(few: Any) -> None:
    notes = Notes()
    learner = strategy(ProbePlugin(few, log=notes), ReplayPlugin(mem_size=10), epochs=2)
    for experience in few.train_stream:
        learner.train(experience, eval_streams=[])
    assert notes.pop()["event"] == "consolidation" and {e["event"] for e in notes} == {"probe"}
    assert {(e["trained"], e["images"]) for e in notes} == {(0, 0), (1, 40), (2, 120)}, "passes and replay count"
    seconds = [e["seconds"] for e in notes]
    assert seconds[0] == 0 and seconds == sorted(seconds) and seconds[-1] > 0
    assert {(e["trained"], e["evaluated"]) for e in notes if e["scope"] == "seen"} == {(1, 1), (2, 1), (2, 2)}
    json.dumps(notes)


def test_avalanches_loggers_receive_the_values(few: Any) -> None:
    listener, probe = Listener(), ProbePlugin(few)
    metrics = accuracy_metrics(experience=True)
    learner = strategy(probe, evaluator=EvaluationPlugin(metrics, loggers=[listener]))
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


# -- refusals --------------------------------------------------------------------------------------------------------


def stream(train: Any, test: Any) -> Any:
    """What a benchmark is to a probe: labels of train and test experiences."""
    return SimpleNamespace(
        train_stream=[SimpleNamespace(dataset=SimpleNamespace(targets=t)) for t in train],
        test_stream=[SimpleNamespace(dataset=SimpleNamespace(targets=t)) for t in test],
    )


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([[0], [1]], [[0]], "2 training but 1 test experiences: a probe needs the test data of each"),
        ([[0], [1]], [], "2 training but 0 test experiences"),
        ([[-1, -1]], [[-1]], "no labels to fit and score a probe on: run it without ProbePlugin"),
        ([[-1, -1]], [[0]], "no labels"),
        ([[0]], [[-1]], "no labels"),
        ([], [], "no labels"),
    ],
)
def test_streams_that_cannot_be_probed(train: Any, test: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ProbePlugin(stream(train, test))


def test_an_unknown_scope_is_refused(few: Any) -> None:
    with pytest.raises(UsageError, match="no scope 'al': did you mean 'all'"):
        ProbePlugin(few, scopes=["al"])


# -- results ---------------------------------------------------------------------------------------------------------

R = np.array([[0.8, 0.5, math.nan], [0.6, 0.9, 0.4], [0.7, 0.6, 1.0]])
UNTRAINED = np.array([0.5, 0.4, 0.3])


def test_summary_by_hand() -> None:
    matrix = np.where(np.isnan(R), 0.35, R)
    assert summary.summary(matrix, UNTRAINED, 0.8) == pytest.approx(
        {
            "average accuracy": (0.7 + 0.6 + 1.0) / 3,
            "anytime accuracy": (0.8 + (0.6 + 0.9) / 2 + (0.7 + 0.6 + 1.0) / 3) / 3,
            "forgetting": ((0.8 - 0.7) + (0.9 - 0.6)) / 2,
            "backward transfer": ((0.7 - 0.8) + (0.6 - 0.9)) / 2,
            "forward transfer": ((0.5 - 0.4) + (0.4 - 0.3)) / 2,
            "untrained accuracy": 0.4,
            "knowledge gain": ((0.9 - 0.5) + (1.0 - 0.4)) / 2,
            "consolidation": 0.8,
        }
    )
    assert summary.EXPLAIN.keys() == summary.summary(matrix, UNTRAINED).keys()


def test_percent() -> None:
    assert [summary.percent(v) for v in (0.5, 1.0, -0.0123, math.nan)] == ["50.0", "100.0", "-1.2", "-"]


def test_table_of_the_matrix() -> None:
    assert summary.matrix_table(R, UNTRAINED).splitlines() == [
        "learnt        e1    e2    e3   mean",
        "untrained   50.0  40.0  30.0   40.0",
        "1           80.0  50.0     -   65.0",
        "2           60.0  90.0  40.0   63.3",
        "3           70.0  60.0 100.0   76.7",
    ]
    assert summary.matrix_table(np.full((1, 1), math.nan), np.ones(1)).endswith("      -      -")


def test_csv_of_the_rows(tmp_path: Path) -> None:
    rows = [{"all": UNTRAINED}, *({"all": row} for row in R)]
    csv_files.write_csv(tmp_path / "a.csv", rows, "ridge", {"ridge": "so, so", "other": "no"})
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    matrix = np.full((4, 3), math.nan)
    for row in read:
        assert (row["probe"], row["scope"], row["caveat"]) == ("ridge", "all", "so, so")
        matrix[int(row["trained"]), int(row["evaluated"]) - 1] = float(row["accuracy"])
    np.testing.assert_array_equal(matrix, np.vstack([UNTRAINED, R]))


@pytest.mark.parametrize("experiences", [1, 3, 30])
def test_picture(tmp_path: Path, experiences: int) -> None:
    rng = np.random.default_rng(0)
    matrices = {scope: rng.random((experiences, experiences)) for scope in ("all", "seen", "task")}
    matrices["all"][0, -1] = math.nan
    matrices["seen"][np.triu_indices(experiences, 1)] = math.nan
    plots.draw(tmp_path / "a.png", "a title", matrices, rng.random(experiences))
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 504))
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 50, "not blank"


# -- log -------------------------------------------------------------------------------------------------------------


def test_a_line_an_event_with_null_for_what_is_not_finite(tmp_path: Path) -> None:
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    log("a", loss=math.nan, config={"max_grad_norm": math.inf, "scale": (0.5, -math.inf)}, name="ü\n", none=None)
    assert len((tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()) == 1, "written at once"
    JSONLinesLogger(tmp_path / "log.jsonl")("b", accuracy=np.float64(0.5), images=3)
    first, second = (
        json.loads(line, parse_constant=pytest.fail)
        for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    )
    assert first == {
        "event": "a",
        "loss": None,
        "config": {"max_grad_norm": None, "scale": [0.5, None]},
        "name": "ü\n",
        "none": None,
    }
    assert second == {"event": "b", "accuracy": 0.5, "images": 3}


# -- other probes ----------------------------------------------------------------------------------------------------

SHORT = [
    p if not p.augment else dataclasses.replace(p, choose=lambda seen: SGDClassifier(epochs=2))
    for p in PROTOCOLS.values()
]


@pytest.mark.parametrize("probe", SHORT, ids=lambda p: p.name)
def test_no_probe_changes_what_is_learnt(few: Any, probe: Any) -> None:
    """Weights, buffers, memory, optimiser and random states are bit-identical with and without the probe."""

    def learn(*plugins: Any) -> Any:
        torch.manual_seed(0), np.random.seed(0), random.seed(0)
        learner = strategy(*plugins, epochs=2)
        for experience in few.train_stream:
            learner.train(experience, eval_streams=[])
        return learner

    measured, plain = learn(ProbePlugin(few, probes=[probe])), learn()
    theirs = plain.model.state_dict()
    assert all(torch.equal(v, theirs[k]) for k, v in measured.model.state_dict().items())
    moments = [[s["momentum_buffer"] for s in learner.optimizer.state.values()] for learner in (measured, plain)]
    assert moments[0] and all(torch.equal(a, b) for a, b in zip(*moments))
    states = [
        (learner.view_generator.get_state(), learner.order_generator.get_state()) for learner in (measured, plain)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*states))


@pytest.mark.parametrize("probe", SHORT, ids=lambda p: p.name)
def test_no_probe_draws_a_global_random_number(few: Any, probe: Any) -> None:
    learner = strategy(plugin := ProbePlugin(few, probes=[probe]))
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    state = {k: v.clone() for k, v in learner.model.state_dict().items()}
    learner.model.train()
    plugin.measure(learner)
    assert learner.model.training and all(torch.equal(v, state[k]) for k, v in learner.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in learner.model.encoder.parameters())
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[2]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1]))


def test_several_probes_share_one_pass_and_keep_their_names(few: Any) -> None:
    notes, listener = Notes(), Listener()
    probe = ProbePlugin(few, probes=["ridge", "knn-20@50%", "lump"], log=notes)
    learner = strategy(probe, evaluator=EvaluationPlugin(loggers=[listener]))
    images = []
    extract_features = learner.model.extract_features
    learner.model.extract_features = lambda x: images.append(len(x)) or extract_features(x)
    learner.train(few.train_stream[0], eval_streams=[])
    assert sum(images) == 2 * (40 + 14), "untrained and after the experience, each image once"
    assert probe.rows[0].keys() == {
        "all",
        "seen",
        "task",
        "knn-20@50%/all",
        "knn-20@50%/seen",
        "knn-20@50%/task",
        "lump/task",
    }
    assert {(e["probe"], e["scope"]) for e in notes} == {
        *((p, s) for p in ("ridge", "knn-20@50%") for s in ("all", "seen", "task")),
        ("lump", "task"),
    }
    assert "Probe_lump_task/eval_phase/test_stream/Exp001" in {name for _, name in listener.values}
    np.testing.assert_array_equal(probe.matrix("task", "lump")[0], probe.rows[1]["lump/task"])
    np.testing.assert_array_equal(probe.matrix("all", "ridge"), probe.matrix("all"))
    assert [len(y) for _, y in probe.latest] == [5, 9]


def test_probes_named_twice_or_not_at_all_or_unknown_are_refused(few: Any) -> None:
    for wrong, message in (
        ([], "name at least one"),
        (["ridge", "ridge"], "each once"),
        (["ridg"], "did you mean 'ridge'"),
    ):
        with pytest.raises(UsageError, match=message):
            ProbePlugin(few, probes=wrong)


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
    with pytest.raises(UsageError, match=r"Network has no method represent\(x\): give ProbePlugin\(..., represent="):
        naive(ProbePlugin(few)).train(few.train_stream[0])


def test_few_labels_are_drawn_three_times_and_averaged(digits: Any) -> None:
    plugin = ProbePlugin(digits, probes=["ridge", "ncm@2"])
    learner = strategy(plugin)
    found = plugin.accuracies(learner, seen=1)["ncm@2"]
    train, test = (plugin._features(learner, part) for part in (plugin.train, plugin.test))
    each = [probe_accuracies(get_protocol("ncm@2").fit(train, 10, 1, seed), test) for seed in range(3)]
    for scope, row in found.items():
        np.testing.assert_allclose(row, np.mean([one[scope] for one in each], axis=0))
    assert len({tuple(one["all"]) for one in each}) == 3


def test_consolidation_is_told_once_after_the_last_experience(few: Any) -> None:
    notes = Notes()
    plugin = ProbePlugin(few, log=notes)
    learner = strategy(plugin)
    for experience in few.train_stream:
        assert math.isnan(plugin.consolidation)
        learner.train(experience, eval_streams=[])
    (event,) = [e for e in notes if e["event"] == "consolidation"]
    train, test = ([x for x, _ in features(learner.model, part)] for part in (plugin.train, plugin.test))
    assert event["accuracy"] == pytest.approx(consolidation(train, test))
    assert (event["trained"], event["chance"]) == (2, 0.5)


def test_a_protocol_that_is_odd_says_so_in_the_table_of_protocols(few: Any) -> None:
    plugin = ProbePlugin(few, probes=["cassle-online-leak", "ridge"])
    learner = strategy(plugin)
    for experience in few.train_stream:
        learner.train(experience, eval_streams=[])
    assert f"  odd: {PROTOCOLS['cassle-online-leak'].caveat}" in summary.protocol_table(plugin).splitlines()
