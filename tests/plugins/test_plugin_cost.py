"""What plugins train and keep, counted by hand."""

import torch
from helpers.encoders import tiny
from helpers.strategies import make, train
from helpers.streams import array_stream

from avalanche_ssl.evaluation import training_cost
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.plugins import Anchor, CaSSLe, ContinualPlugin, Replay, Teacher

STREAM = array_stream(3, n=64)
SIDE, DIM = 32, 8


class Follower(ContinualPlugin):
    """Embeds replayed images by a copy."""

    def build(self, strategy):
        self.teacher = Teacher(strategy.model)

    def term(self, strategy):
        rows = slice(strategy.n_new, None)
        return self.teacher.embeddings(strategy, rows)[0][0].mean() if strategy.n_new < len(strategy.mb_x) else None


def trained(*plugins):
    """SimCLR after two experiences of two steps of 32 images."""
    torch.manual_seed(0)
    return train(make(SimCLR(tiny, output_dim=DIM), plugins=list(plugins), evaluator=None), STREAM)


def counted(strategy):
    return training_cost(strategy, torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8), images=0, steps=0)


def size(network):
    return sum(t.nbytes for t in network.state_dict().values())


def test_without_plugins_there_is_nothing_more() -> None:
    cost = counted(trained())
    statistics = sum(buffer.nbytes for buffer in trained().model.buffers())
    names = ("teacher_views", "plugin_parameters", "teacher_bytes", "image_bytes")
    assert [cost[name] for name in names] == [0, 0, 0, 0] and cost["bytes_remembered"] == statistics


def test_a_teacher_its_views_and_its_predictor() -> None:
    plugin = CaSSLe(hidden_dim=4)
    strategy = trained(plugin)
    cost, plain = counted(strategy), counted(trained())
    assert cost["teacher_views"] == 2 * 32 * 2, "two views of each image of the second experience's two steps"
    assert cost["plugin_parameters"] == (DIM * 4 + 4) + (4 + 4) + (4 * DIM + DIM) - 4, "no bias before batch norm"
    assert cost["parameters"] == plain["parameters"]
    assert cost["teacher_bytes"] == size(strategy.model) + 8, "the copy, and how often it was taken"
    others = cost["bytes_remembered"] - plain["bytes_remembered"] - cost["teacher_bytes"]
    assert 0 < others < 200, "statistics of the predictor, and counters"
    assert cost["image_bytes"] == 0


def test_a_memory_of_images_counts_all_that_it_holds() -> None:
    strategy = trained(Replay(size=40, batch=8, policy="fifo"), Follower())
    cost = counted(strategy)
    one = 3 * SIDE * SIDE + 4 * DIM + 8 + 8
    assert 0 < cost["image_bytes"] - 40 * one < 50, "pixels, feature, label, number; counters"
    assert cost["teacher_views"] == 3 * 2 * 8, "two views of the replayed images, from the second step on"
    assert cost["bytes_remembered"] > cost["image_bytes"] + cost["teacher_bytes"]


def test_what_else_a_plugin_keeps_is_remembered() -> None:
    cost, plain = counted(trained(Anchor(importance="ones"))), counted(trained())
    vectors = 3 * 4 * plain["parameters"]
    assert vectors < cost["bytes_remembered"] - plain["bytes_remembered"] < vectors + 200
    assert cost["teacher_bytes"] == cost["image_bytes"] == cost["plugin_parameters"] == cost["teacher_views"] == 0
