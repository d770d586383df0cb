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
from avalanche_ssl.errors import UsageError
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


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("validate", [False, True])
def test_csv_logger_writes_what_was_measured_and_nothing_else(tmp_path, validate) -> None:
    """Avalanche's writes 0 for what was not measured."""
    benchmark = few_digits()
    evaluator = av.EvaluationPlugin(loggers=[CSVLogger(tmp_path)])
    strategy = small(evaluator=evaluator, plugins=[ProbePlugin(benchmark)], eval_every=1 if validate else -1)
    for experience, test in zip(benchmark.train_stream, benchmark.test_stream):
        strategy.train(experience, eval_streams=[test] if validate else [])
        strategy.eval(benchmark.test_stream)
    values = evaluator.get_all_metrics()
    trained, evaluated = rows(tmp_path / "training_results.csv"), rows(tmp_path / "eval_results.csv")
    assert [(row["training_exp"], row["epoch"]) for row in trained] == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    assert [row["training_loss"] for row in trained] == [f"{x:.4f}" for x in values[LOSS][1]]
    assert {row["training_accuracy"] for row in trained} == {""}, "there are no labels"
    for name in ("val_accuracy", "val_loss"):
        assert all(bool(row[name]) == validate for row in trained)
        assert not validate or len({row[name] for row in trained}) > 1
    assert [(row["eval_exp"], row["training_exp"]) for row in evaluated] == [
        ("0", "0"),
        ("1", "0"),
        ("0", "1"),
        ("1", "1"),
    ]
    for name, column in (("Top1_Acc_Exp", "eval_accuracy"), ("Loss_Exp", "eval_loss")):
        for j in range(2):
            (row,) = [row for row in evaluated if (row["eval_exp"], row["training_exp"]) == (str(j), "1")]
            assert row[column] == f"{values[f'{name}/eval_phase/test_stream/Task000/Exp00{j}'][1][-1]:.4f}"
    assert {row["forgetting"] for row in evaluated} == {""}


def test_csv_logger_keeps_measured_zeros_and_the_users_metrics(tmp_path) -> None:
    logger = CSVLogger(tmp_path)
    own = loss_metrics(experience=True)
    evaluator = complete_evaluator(complete_evaluator(av.EvaluationPlugin(own, loggers=[logger])))
    assert [str(metric) for metric in evaluator.metrics] == [
        "Loss_Exp",
        "Loss_Epoch",
        "LearningRate_Epoch",
        "Top1_Acc_Exp",
    ]
    assert evaluator.metrics[0] is own[0]
    assert [logger._val_to_str(value) for value in (0, 0.0, 0.5, 3)] == ["", "0.0000", "0.5000", "3"]


def test_text_shows_the_last_probe_without_an_evaluation() -> None:
    text = io.StringIO()
    benchmark = few_digits()
    strategy = small(evaluator=av.EvaluationPlugin(loggers=[TextLogger(text)]), plugins=[ProbePlugin(benchmark)])
    strategy.train(benchmark.train_stream[0], eval_streams=[])
    name = "Probe_ridge_all/eval_phase/test_stream/Exp000"
    found = text.getvalue()
    assert found.count(f"{name} = ") == 2, "of the untrained encoder, too"
    _, last = found.split("Epoch 1 ended.")
    assert f"\t{name} = {strategy.evaluator.get_last_metrics()[name]:.4f}\n" in last
    assert last.count(LOSS) == 1, "what was shown already is not shown again"


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


def test_what_is_no_evaluator_is_refused() -> None:
    with pytest.raises(UsageError, match=r"evaluator is a list: give EvaluationPlugin\(\*metrics, loggers="):
        make(evaluator=loss_metrics(epoch=True))
