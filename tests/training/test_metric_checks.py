"""Each of Avalanche's metrics either works with a method or is refused with what to use instead."""

import functools
import re

import pytest
import torch
from avalanche.evaluation import PluginMetric, metrics
from avalanche.training.plugins import EvaluationPlugin
from helpers.avalanche_parts import METHODS, METRICS, evaluator, run_two_experiences
from helpers.docs import ROOT
from helpers.strategies import assert_same, make, state

from avalanche_ssl import probe_metrics
from avalanche_ssl.errors import UsageError
from avalanche_ssl.training.metric_checks import check_metrics

ARGUMENTS = {
    "AccuracyPerTaskPluginMetric": {"reset_at": "experience", "emit_at": "experience", "mode": "eval"},
    "ImagesSamplePlugin": {"mode": "both", "n_cols": 2, "n_rows": 2},
    "StreamConfusionMatrix": {"num_classes": 10, "save_image": False},
    **{name: {"paths_to_monitor": []} for name in METRICS if name.endswith("DiskUsage")},
    **{name: {"gpu_id": 0} for name in METRICS if name.endswith("MaxGPU")},
    **{name: {"top_k": 2} for name in METRICS if name.endswith("TopkAccuracy")},
}
"""Of metrics that need some."""

ACCURACY = (
    r"needs class logits, which training has none of: use {}experience=True, stream=True\), which score the probe"
)
REFUSED = {
    "EpochAccuracy": ACCURACY.format(r"accuracy_metrics\("),
    "EpochClassAccuracy": ACCURACY.format(r"class_accuracy_metrics\("),
    "EpochTopkAccuracy": ACCURACY.format(r"topk_acc_metrics\(top_k=\.\.\., "),
    "MeanScoresTrainPluginMetric": r"use mean_scores_metrics\(on_train=False\)",
    "MinibatchAccuracy": ACCURACY.format(r"accuracy_metrics\("),
    "MinibatchClassAccuracy": ACCURACY.format(r"class_accuracy_metrics\("),
    "MinibatchTopkAccuracy": ACCURACY.format(r"topk_acc_metrics\(top_k=\.\.\., "),
    "RunningEpochAccuracy": ACCURACY.format(r"accuracy_metrics\("),
    "RunningEpochClassAccuracy": ACCURACY.format(r"class_accuracy_metrics\("),
    "RunningEpochTopkAccuracy": ACCURACY.format(r"topk_acc_metrics\(top_k=\.\.\., "),
    "EpochMAC": r"changes the training: count once, with MAC\(\)\.update\(model\.encoder",
    "ExperienceMAC": r"changes the training: count once, with MAC\(\)\.update\(model\.encoder",
    "MinibatchMAC": r"changes the training: count once, with MAC\(\)\.update\(model\.encoder",
}
IN_PLUGINS = [name for name, kind in METRICS.items() if issubclass(kind, PluginMetric)]
ABSTRACT = {"GenericStreamForgetting", "GenericStreamForwardTransfer"}
"""Bases that are not abstract in name; without their subclasses they do nothing."""
WORKING = [name for name in IN_PLUGINS if name not in REFUSED and name not in ABSTRACT]


def build(name):
    return METRICS[name](**ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_cannot_work_is_refused_with_a_remedy(name):
    with pytest.raises(UsageError, match=rf"^{name} [^\n]*{REFUSED[name]}[^\n]*$"):
        make(evaluator=evaluator(build(name)))


@pytest.mark.parametrize("name", sorted(METRICS.keys() - IN_PLUGINS))
def test_metrics_that_no_evaluator_updates_are_refused(name):
    metric = METRICS[name].__new__(METRICS[name])
    with pytest.raises(UsageError, match=rf"{name} is a standalone metric.*_metrics\(\.\.\.\)$"):
        make(evaluator=evaluator(metric))


def test_forward_transfer_needs_an_evaluation_before_training():
    with pytest.raises(UsageError, match=r"ForwardTransfer needs an evaluation before training: give eval_every=0"):
        make(evaluator=evaluator(metrics.forward_transfer_metrics(stream=True)))
    make(evaluator=evaluator(metrics.forward_transfer_metrics(stream=True)), eval_every=0)


def test_metrics_of_this_package_pass():
    check_metrics(evaluator(probe_metrics(embedding=True)), eval_every=-1)


@functools.cache
def alone(method):
    return state(run_two_experiences(METHODS[method](), evaluator=evaluator()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_the_others_work_together_and_change_nothing(method, monkeypatch):
    together = [build(name) for name in WORKING]
    given = set()
    publish = EvaluationPlugin.publish_metric_value
    monkeypatch.setattr(
        EvaluationPlugin, "publish_metric_value", lambda self, value: (given.add(value.origin), publish(self, value))
    )
    strategy = run_two_experiences(METHODS[method](), evaluator=evaluator(*together))
    assert_same(state(strategy), alone(method))
    assert {type(metric).__name__ for metric in together if metric not in given} == set()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_page_says_what_to_drop_and_what_to_use():
    text = (ROOT / "avalanche_ssl/training/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+_metrics\(.*?\))` \| `(.*?)`", text, re.MULTILINE)
    assert len(rows) == 5
    refused = set()
    for drop, use in rows:
        for metric in eval(drop, vars(metrics)):
            if type(metric).__name__ in REFUSED:
                refused.add(type(metric).__name__)
                with pytest.raises(UsageError, match=type(metric).__name__):
                    check_metrics(evaluator(metric), eval_every=-1)
        if "_metrics(" in use:
            check_metrics(evaluator(eval(use, vars(metrics))), eval_every=-1)
    assert refused == REFUSED.keys()


def test_mac_of_the_encoder_is_counted_once():
    mac = metrics.MAC()
    mac.update(METHODS["simclr"]().encoder, torch.zeros(1, 3, 32, 32))
    assert mac.result() > 0
