"""Avalanche's loggers get the loss and the learning rate without being asked."""

import csv
import io

import numpy as np
import pytest
import torch
from avalanche.evaluation.metrics import loss_metrics
from avalanche.logging import CSVLogger, InteractiveLogger, TensorboardLogger, TextLogger
from avalanche.training import plugins as av
from avalanche.training.plugins.evaluation import default_evaluator
from crashes.comparison import compare
from crashes.small_run import few_digits
from helpers.avalanche_parts import METHODS
from helpers.strategies import Spy, assert_same, make, small, state

from avalanche_ssl import LRSchedule, ProbePlugin
from avalanche_ssl.checkpointing.serialization import StreamIndex, serialize
from avalanche_ssl.training.default_metrics import EpochLearningRate, EpochLoss, complete_evaluator

LOSS = "Loss_Epoch/train_phase/train_stream/Task000"
RATE = "LearningRate_Epoch/train_phase/train_stream/Task000"


def train(evaluator, plugins=(), **settings):
    strategy = small(evaluator=evaluator, plugins=plugins, schedule=LRSchedule("cosine"), **settings)
    for experience in few_digits().train_stream:
        strategy.train(experience, eval_streams=[])
    return strategy


def test_loss_and_rate_are_the_means_of_the_steps() -> None:
    losses, rates = [], []

    def look(strategy):
        losses.append(strategy.loss.item())
        rates.append(strategy.optimizer.param_groups[0]["lr"])

    evaluator = av.EvaluationPlugin(loggers=[TextLogger(io.StringIO())])
    strategy = train(evaluator, [Spy(after_update=look)])
    found = evaluator.get_all_metrics()
    steps = strategy.clock.train_iterations // 4  # of two epochs in each of two experiences
    for name, values in ((LOSS, losses), (RATE, rates)):
        assert found[name][1] == pytest.approx(np.reshape(values, (4, steps)).mean(1))
        assert found[name][0] == [steps, 2 * steps, 3 * steps, 4 * steps]


def test_the_loss_is_avalanches_and_changes_nothing() -> None:
    theirs = av.EvaluationPlugin(loss_metrics(epoch=True), loggers=[TextLogger(io.StringIO())])
    ours = av.EvaluationPlugin(loggers=[TextLogger(io.StringIO())])
    first, second = train(theirs), train(ours)
    assert [type(metric).__name__ for metric in theirs.metrics] == ["EpochLoss", "EpochLearningRate"]
    assert not isinstance(theirs.metrics[0], EpochLoss) and isinstance(ours.metrics[0], EpochLoss)
    assert theirs.get_all_metrics()[LOSS][1] == pytest.approx(ours.get_all_metrics()[LOSS][1])
    assert_same(state(first), state(second))
    assert_same(state(first), state(train(None)))


def test_an_evaluator_without_loggers_stays_as_it_is() -> None:
    with pytest.warns(UserWarning, match="No loggers specified"):
        evaluator = av.EvaluationPlugin()
    assert complete_evaluator(evaluator).metrics == []
    assert complete_evaluator(None).metrics == []
    shared = av.EvaluationPlugin(loggers=[TextLogger(io.StringIO())])
    assert len(complete_evaluator(complete_evaluator(shared)).metrics) == 2, "once for several strategies"


def test_skipped_steps_do_not_count() -> None:
    evaluator = av.EvaluationPlugin(loggers=[TextLogger(io.StringIO())])
    nan = float("nan")
    train(evaluator, loss=lambda call, loss: loss * nan if call == 3 else loss, on_nan="skip")
    assert np.isfinite(evaluator.get_all_metrics()[LOSS][1]).all()


@pytest.mark.slow
def test_every_logger_gets_them(tmp_path, capsys) -> None:
    text = io.StringIO()
    loggers = [InteractiveLogger(), TextLogger(text), CSVLogger(tmp_path), TensorboardLogger(tmp_path / "tb")]
    evaluator = av.EvaluationPlugin(loggers=loggers)
    train(evaluator)
    loss, rate = (evaluator.get_last_metrics()[name] for name in (LOSS, RATE))
    for output in (capsys.readouterr().out, text.getvalue()):
        assert f"{LOSS} = {loss:.4f}" in output and f"{RATE} = {rate:.4f}" in output
    with (tmp_path / "training_results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["training_loss"] for row in rows] == [f"{x:.4f}" for x in evaluator.get_all_metrics()[LOSS][1]]
    assert b"LearningRate_Epoch" in next((tmp_path / "tb").glob("events*")).read_bytes()


@pytest.mark.slow
def test_avalanches_default_evaluator_scores_the_probe(capsys) -> None:
    benchmark = few_digits()
    strategy = make(METHODS["simclr"](), evaluator=default_evaluator, plugins=[ProbePlugin(benchmark)])
    values = strategy.train(benchmark.train_stream[0], eval_streams=[])
    values = strategy.eval(benchmark.test_stream)
    assert {"Top1_Acc_Stream/eval_phase/test_stream/Task000", LOSS, RATE} <= values.keys()
    assert "Loss_Epoch" in capsys.readouterr().out


def test_the_sums_of_an_epoch_can_be_saved() -> None:
    saved = []
    evaluator = av.EvaluationPlugin(loggers=[TextLogger(io.StringIO())])
    index = StreamIndex([e.dataset for e in few_digits().train_stream])
    train(evaluator, [Spy(after_update=lambda s: saved.append(serialize(s.evaluator.metrics, index, "metrics")))])
    loss = saved[2][0]["fields"]
    assert loss["_images"] == 2 * 16 and isinstance(loss["_sum"], torch.Tensor)
    assert not compare(saved[2][1]["fields"]["_images"], 32, "")
    assert str(EpochLearningRate()) == "LearningRate_Epoch"
