"""The whole state of a strategy."""

import io
from typing import Any

import pytest
import torch
from avalanche.evaluation.metric_results import TensorImage
from avalanche.evaluation.metrics import loss_metrics
from avalanche.logging import TextLogger
from avalanche.training import plugins as av
from crashes.comparison import compare
from crashes.small_run import few_digits
from helpers.encoders import tiny
from helpers.resuming import checkpointer, make, save, state

from avalanche_ssl.checkpointing.serialization import StreamIndex
from avalanche_ssl.checkpointing.strategy_state import capture_strategy, check_savable, restore_strategy
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo, SimCLR
from avalanche_ssl.plugins import LUMP, Replay
from avalanche_ssl.rng import seed_all


def test_plugins_that_cannot_be_saved_are_refused_at_once() -> None:
    benchmark = few_digits()
    strategy = make(benchmark, [av.AGEMPlugin(10, 10)])
    with pytest.raises(UsageError, match=r"the state of AGEMPlugin cannot be saved: give it state_dict\(\)"):
        check_savable(strategy)


def test_other_plugins_are_refused() -> None:
    benchmark = few_digits()
    save(benchmark)
    strategy = make(benchmark, [av.ReplayPlugin(mem_size=10)])
    with pytest.raises(
        UsageError, match=r"has the plugins ProbePlugin, RepresentationMonitor, Eval.*; this strategy has .*Replay"
    ):
        checkpointer(strategy, benchmark).resume()


def test_the_same_plugins_in_another_order_are_refused() -> None:
    benchmark, plugins = few_digits(), [Replay(size=10), LUMP()]
    save(benchmark, plugins=plugins)
    with pytest.raises(UsageError, match=r"has the plugins .*Replay, LUMP.*; this strategy has .*LUMP, Replay"):
        checkpointer(make(benchmark, [LUMP(), Replay(size=10)]), benchmark).resume()


def test_another_shape_is_refused() -> None:
    benchmark = few_digits()
    save(benchmark)
    strategy = make(benchmark, model=MoCo(tiny, output_dim=8, queue_size=41))
    with pytest.raises(UsageError, match=r"is of another method or optimizer: .*queue") as error:
        checkpointer(strategy, benchmark).resume()
    assert "\n" not in str(error.value)


def test_a_captured_state_is_restored_with_all_random_states() -> None:
    benchmark = few_digits()
    first, second = (checkpointer(make(benchmark, [av.ReplayPlugin(mem_size=10)]), benchmark) for _ in range(2))
    first.strategy.train(benchmark.train_stream[0], eval_streams=[])
    captured = state(first)
    drawn = torch.rand(3), torch.rand(3, generator=first.strategy.view_generator)
    seed_all(99)
    restore_strategy(second.strategy, captured, second.images)
    assert not compare(captured, state(second), "")
    again = torch.rand(3), torch.rand(3, generator=second.strategy.view_generator)
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))


class Passing(SimCLR):
    """A method that recomputes a buffer before each epoch."""

    def __init__(self) -> None:
        super().__init__(tiny, output_dim=8)
        self.register_buffer("drawn", torch.zeros(3), persistent=False)

    def prepare(self, batches: Any) -> None:
        self.drawn = torch.rand(3)


def test_buffers_that_state_dict_leaves_out_are_restored() -> None:
    benchmark = few_digits()
    first, second = (checkpointer(make(benchmark, model=Passing()), benchmark) for _ in range(2))
    first.strategy.train(benchmark.train_stream[0], eval_streams=[])
    restore_strategy(second.strategy, state(first), second.images)
    assert second.strategy.model.drawn.any()
    assert torch.equal(first.strategy.model.drawn, second.strategy.model.drawn)


def test_other_metrics_start_where_the_run_is_resumed() -> None:
    """They follow from the loggers, which change no result."""

    def logged(*metrics: Any) -> av.EvaluationPlugin:
        return av.EvaluationPlugin(*metrics, loggers=[TextLogger(io.StringIO())])

    benchmark = few_digits()
    index = StreamIndex([e.dataset for e in benchmark.train_stream])
    with_metrics, without = make(benchmark, evaluator=logged(loss_metrics(experience=True))), make(benchmark)
    with_metrics.evaluator.last_metric_results["a"] = 0.5
    saved = capture_strategy(with_metrics, index)
    restore_strategy(make(benchmark, evaluator=logged(loss_metrics(experience=True))), saved, index)
    message = "the checkpoint has the metrics ExperienceLoss, EpochLoss, EpochLearningRate, now there are none: these"
    with pytest.warns(UserWarning, match=message):
        restore_strategy(without, saved, index)
    assert without.evaluator.metrics == [] and without.evaluator.get_last_metrics() == {"a": 0.5}
    with pytest.warns(
        UserWarning, match="has the metrics none, now there are EpochLoss, EpochLearningRate: these start"
    ):
        restore_strategy(make(benchmark, evaluator=logged()), capture_strategy(without, index), index)


def test_images_among_metric_values_are_restored() -> None:
    benchmark = few_digits()
    index = StreamIndex([e.dataset for e in benchmark.train_stream])
    first, second = make(benchmark), make(benchmark)
    first.evaluator.last_metric_results["matrix"] = TensorImage(torch.ones(3, 2, 2))
    restore_strategy(second, capture_strategy(first, index), index)
    (found,) = second.evaluator.last_metric_results.values()
    assert isinstance(found, TensorImage) and torch.equal(found.image, torch.ones(3, 2, 2))
