"""Each of Avalanche's plugins either works with a method or is refused with what to use instead."""

import functools
import re

import pytest
import torch
from avalanche.evaluation.metrics import accuracy_metrics, loss_metrics
from avalanche.training import plugins as av
from crashes.small_run import few_digits
from helpers.avalanche_parts import METHODS, PLUGINS, evaluator, run_two_experiences
from helpers.docs import ROOT
from helpers.strategies import make, state

from avalanche_ssl import ProbePlugin
from avalanche_ssl.errors import UsageError
from avalanche_ssl.training.plugin_checks import REFUSED

WORKING = {
    "AGEMPlugin": lambda: av.AGEMPlugin(patterns_per_experience=16, sample_size=16),
    "EWCPlugin": lambda: av.EWCPlugin(ewc_lambda=10.0),
    "EarlyStoppingPlugin": lambda: av.EarlyStoppingPlugin(patience=1, val_stream_name="test_stream", margin=2.0),
    "GEMPlugin": lambda: av.GEMPlugin(patterns_per_experience=16, memory_strength=0.5),
    "ReplayPlugin": lambda: av.ReplayPlugin(mem_size=20),
    "SupervisedPlugin": av.SupervisedPlugin,
    "SynapticIntelligencePlugin": lambda: av.SynapticIntelligencePlugin(si_lambda=1e3),
}


def test_every_plugin_is_known():
    refused = {kind.__name__ for kind in REFUSED}
    assert not refused & WORKING.keys()
    assert refused | WORKING.keys() == PLUGINS.keys()


def test_the_page_names_every_plugin():
    text = (ROOT / "avalanche_ssl/training/README.md").read_text(encoding="utf-8")
    rows = {
        tuple(re.findall(r"`(\w+)`", names)): note
        for names, note in re.findall(r"^\| (`\w+.*?) \| (.*) \|$", text, re.M)
    }
    working = {name for names, note in rows.items() if note.startswith("works") for name in names}
    refused = {name: note for names, note in rows.items() if note.startswith("refused") for name in names}
    assert working == WORKING.keys()
    assert refused == {kind.__name__: f"refused: {reason}" for kind, reason in REFUSED.items()}


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_what_cannot_work_is_refused_with_a_remedy(kind):
    plugin = kind.__new__(kind)
    with pytest.raises(UsageError, match=rf"^{kind.__name__} [^\n]*: (use|give|make) [^\n]*$"):
        make(plugins=[plugin])


@functools.cache
def alone(method):
    return state(run_two_experiences(METHODS[method](), evaluator=evaluator(accuracy_metrics(stream=True))))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Metric Top1:UserWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", WORKING)
def test_all_other_plugins_work(name, method):
    if name == "GEMPlugin":
        pytest.importorskip("quadprog")
    torch.manual_seed(0)
    plugin = WORKING[name]()
    strategy = run_two_experiences(METHODS[method](), [plugin], evaluator=evaluator(accuracy_metrics(stream=True)))
    assert strategy.model.training
    assert all(torch.isfinite(value).all() for value in state(strategy).values())
    changed = [k for k, value in state(strategy).items() if not torch.equal(value, alone(method)[k])]
    assert bool(changed) == (name != "SupervisedPlugin")


def test_gem_without_its_solver_is_refused(monkeypatch):
    monkeypatch.setattr("qpsolvers.available_solvers", [])
    with pytest.raises(UsageError, match="GEMPlugin needs a solver: pip install quadprog"):
        make(plugins=[WORKING["GEMPlugin"]()])
    monkeypatch.setattr("qpsolvers.available_solvers", ["quadprog"])
    make(plugins=[WORKING["GEMPlugin"]()])


def test_early_stopping_needs_its_metric_during_training():
    plugin = WORKING["EarlyStoppingPlugin"]()
    with pytest.raises(UsageError, match=r"waits for Top1_Acc_Stream, which no metric .* add accuracy_metrics\(stream"):
        make(plugins=[plugin], eval_every=1, evaluator=evaluator(loss_metrics(stream=True)))
    with pytest.raises(UsageError, match="eval_every=-1 gives none: give eval_every=1"):
        make(plugins=[plugin], evaluator=evaluator(accuracy_metrics(stream=True)))
    by_loss = av.EarlyStoppingPlugin(1, "test_stream", metric_name="Loss_Stream", mode="min")
    with pytest.raises(UsageError, match=r"waits for Loss_Stream, .* add its metric to the evaluator"):
        make(plugins=[by_loss], eval_every=1)
    make(plugins=[by_loss], eval_every=1, evaluator=evaluator(loss_metrics(stream=True)))


def test_early_stopping_needs_its_stream():
    benchmark = few_digits()
    strategy = make(
        plugins=[ProbePlugin(benchmark), WORKING["EarlyStoppingPlugin"]()],
        eval_every=1,
        evaluator=evaluator(accuracy_metrics(stream=True)),
    )
    with pytest.raises(UsageError, match=r"watches 'test_stream', and train\(\) evaluates on train_stream: give train"):
        strategy.train(benchmark.train_stream[0])
    with pytest.raises(UsageError, match="evaluates on nothing"):
        strategy.train(benchmark.train_stream[0], eval_streams=[])
    assert strategy.clock.train_iterations == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Metric Top1:UserWarning")
def test_early_stopping_stops_and_restores_the_best_epoch():
    plugin = av.EarlyStoppingPlugin(
        patience=1, val_stream_name="test_stream", margin=2.0
    )  # nothing is that much better
    strategy = run_two_experiences(
        METHODS["moco"](), [plugin], evaluator=evaluator(accuracy_metrics(stream=True)), train_epochs=5
    )
    steps = 72 // 16
    assert strategy.clock.train_iterations == 2 * steps  # of 5 epochs of 2 experiences, one each
    assert strategy.model.queue.n_enqueued == 0  # before any training


def test_a_class_in_the_place_of_a_plugin_is_refused():
    message = r"plugins has the class ReplayPlugin: give an object.*, plugins=\[ReplayPlugin\(\.\.\.\)\]"
    with pytest.raises(UsageError, match=message):
        make(plugins=[av.ReplayPlugin])
