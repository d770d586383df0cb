"""Vital signs of plugins: by value, by name, the same in a resumed run, in the events and metrics of the monitor."""

import math
import statistics

import pytest
import torch
from helpers.encoders import tiny
from helpers.strategies import Spy, make, train
from helpers.streams import array_stream

from avalanche_ssl.methods import SimCLR
from avalanche_ssl.plugins import (
    CaSSLe,
    ContinualPlugin,
    Replay,
    RepresentationMonitor,
    Teacher,
    build_plugins,
    complete_plugins,
)
from avalanche_ssl.plugins.plugin_vitals import plugin_vitals
from avalanche_ssl.plugins.representation_metrics import representation_metrics

STREAM = array_stream(3, n=64)


class Follower(ContinualPlugin):
    """Its copy follows; or it has none."""

    momentum = 0.9

    def __init__(self, has_copy=True):
        super().__init__()
        self.has_copy = has_copy

    def build(self, strategy):
        self.teacher = Teacher(strategy.model) if self.has_copy else None

    def term(self, strategy):
        return strategy.mb_output["first"].square().mean()


def trained(*plugins, experiences=2, **settings):
    """SimCLR after experiences of two steps of 32 images."""
    torch.manual_seed(0)
    strategy = make(SimCLR(tiny, output_dim=8), plugins=list(plugins), evaluator=None, **settings)
    return train(strategy, STREAM, experiences)


def test_gradient_term_and_weight_are_those_of_the_last_step() -> None:
    plugin, terms = CaSSLe(hidden_dim=4, weight=0.5), []
    strategy = trained(plugin, Spy(before_backward=lambda _: terms.append(plugin.loss)))
    assert [term is None for term in terms] == [True, True, False, False]
    found = plugin_vitals(strategy.plugins, 2)["CaSSLe"]
    assert found["term"] == pytest.approx(terms[-1].item()) and found["weight"] == 0.5
    assert found["gradient_ratio"] == pytest.approx(plugin.gradients.ratio.item()) and found["gradient_ratio"] > 0
    assert found["teacher_norm"] == "batch"
    assert not found.keys() & {"images", "momentum", "steps"}, "it has no memory, and its copy does not follow"


def test_an_idle_plugin_has_no_term() -> None:
    strategy = trained(CaSSLe(hidden_dim=4, norm="eval"), experiences=1)
    assert plugin_vitals(strategy.plugins, 2) == {"CaSSLe": {"teacher_norm": "eval"}}


def test_age_of_the_images_and_pace_of_the_copy() -> None:
    strategy = trained(Replay(size=30, batch=8), Follower())
    found = plugin_vitals(strategy.plugins, 2)
    ages = strategy.plugins[0].ages().tolist()
    assert found["Replay"] == {"images": 30, "age_median": statistics.median_low(ages), "age_oldest": max(ages)}
    assert max(ages) > 64, "an image of the first experience"
    assert (found["Follower"]["momentum"], found["Follower"]["steps"]) == (0.9, 2)


def test_a_copy_is_needed_for_its_pace() -> None:
    strategy = trained(Replay(size=30, batch=8), Follower(has_copy=False))
    assert plugin_vitals(strategy.plugins, 2)["Follower"].keys() == {"gradient_ratio", "term", "weight"}


def test_names_are_those_of_the_command_line_or_of_classes() -> None:
    assert list(plugin_vitals(build_plugins(complete_plugins({"fd": {}, "cassle-r": {}})), 1)) == ["cassle-r", "fd"]
    assert list(plugin_vitals([CaSSLe(), object(), CaSSLe(), Replay()], 1)) == ["CaSSLe", "CaSSLe 2", "Replay"]


def test_the_monitor_logs_them_with_the_steps_of_an_experience() -> None:
    monitor = RepresentationMonitor(STREAM, pairs=16)
    with pytest.warns(UserWarning, match="Follower keeps a copy of the method beside that of CaSSLe"):
        strategy = trained(CaSSLe(hidden_dim=4), Replay(size=30), Follower(), monitor, train_epochs=2)
    first, second = (event.plugins for event in monitor.events)
    assert first["Follower"]["steps"] == second["Follower"]["steps"] == 4
    assert first["CaSSLe"] == {"teacher_norm": "batch"} and second["CaSSLe"]["term"] != 0
    assert second == plugin_vitals(strategy.plugins, 4)
    values = {metric.name: metric.value for metric in representation_metrics(monitor.events[-1], monitor, 8)}
    name = "Representation_plugins.CaSSLe.{}/train_phase/train_stream"
    assert math.isclose(values[name.format("term")], second["CaSSLe"]["term"])
    assert name.format("teacher_norm") not in values, "a word is no metric"


def test_without_plugins_the_event_has_no_field_for_them() -> None:
    monitor = RepresentationMonitor(STREAM, pairs=16)
    trained(monitor, experiences=1)
    assert "plugins" not in monitor.events[0].fields()
