"""TensorBoard's files of a run: values, a resumed run, the view of hyperparameters."""

from pathlib import Path
from typing import Any

import pytest
from helpers.probing import moco
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from avalanche_ssl import ProbePlugin
from avalanche_ssl.logging import HPARAMS
from avalanche_ssl.plugins import RunTensorBoard

LOSS = "Loss_MB/train_phase/train_stream"


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in EventAccumulator(str(folder)).Reload().Scalars(tag)]


@pytest.mark.slow
def test_values_reach_the_folder(few: Any, tmp_path: Path) -> None:
    board = RunTensorBoard(tmp_path)
    assert not list(tmp_path.iterdir()), "no file before there is a value"
    losses: list[float] = []
    probe = ProbePlugin(few)
    strategy = moco(probe, epochs=2, evaluator=board.evaluator(probed=True))
    strategy.plugins.append(
        type("Spy", (), {"after_update": lambda _, s, **k: losses.append(float(s.loss.detach()))})()
    )
    strategy.train(few.train_stream, eval_streams=[])
    board.position()
    assert scalars(tmp_path, LOSS) == list(enumerate(losses))
    found = scalars(tmp_path, "ProbeAverageAccuracy_ridge_all/eval_phase/test_stream")
    assert [step for step, _ in found] == [4, 8]
    matrix = probe.matrix("all")
    assert [value for _, value in found] == pytest.approx([matrix[0, 0], matrix[1].mean()])
    assert strategy.evaluator.all_metric_results == {}, "a checkpoint would keep all of them"
    assert RunTensorBoard(tmp_path).evaluator(probed=False).metrics == []


def test_skipped_steps_have_no_loss(tmp_path: Path) -> None:
    class Strategy:
        class nonfinite_guard:  # noqa: N801
            skipping = True

    RunTensorBoard(tmp_path).after_training_iteration(Strategy(), [])
    assert not list(tmp_path.iterdir())


def test_a_rewound_log_goes_on_without_lost_or_double_steps(tmp_path: Path) -> None:
    board = RunTensorBoard(tmp_path)
    for step in range(3):
        board.log_single_metric("a", step / 2, step)
    position = board.position()
    for step in range(3, 6):
        board.log_single_metric("a", step / 2, step)
    board.position()
    again = RunTensorBoard(tmp_path)
    again.rewind(position)
    for step in range(3, 5):
        again.log_single_metric("a", step / 2, step)
    again.rewind(again.position())
    again.log_single_metric("a", 2.5, 5)
    again.position()
    assert scalars(tmp_path, "a") == [(step, step / 2) for step in range(6)]
    again.rewind({})
    assert not list(tmp_path.iterdir())


def test_the_view_of_hyperparameters_has_the_settings_of_all_runs(tmp_path: Path) -> None:
    """As TensorBoard's server reads it: strategies of a sweep have settings of their own."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    settings: dict[str, dict[str, Any]] = {
        "a": {"strategy": "simclr", "lr": 0.1, "temperature": 0.5},
        "b": {"strategy": "moco", "lr": 0.2, "queue_size": 64, "betas": [0.9, 0.99], "warm": True},
    }
    for number, (name, chosen) in enumerate(settings.items()):
        for accuracy in (0.9, 0.25 + number / 4):  # a run that was stopped at its end and finished again
            board = RunTensorBoard(tmp_path / name)
            board.write_hyperparameters(chosen, {"average_accuracy": accuracy}, 100)
        board.log_single_metric("no metric of the view", 1.0, 1)
        board.position()
    multiplexer = EventMultiplexer(tensor_size_guidance={}).AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path))
    context = backend_context.Context(TBContext(data_provider=provider))
    request = RequestContext()
    known = context.hparams_metadata(request, "")
    experiment = context.experiment_from_metadata(request, "", True, known, [])
    assert {info.name for info in experiment.hparam_infos} == {
        "strategy",
        "lr",
        "temperature",
        "queue_size",
        "betas",
        "warm",
    }
    assert [info.name.tag for info in experiment.metric_infos] == ["average_accuracy"], "and none of the training"
    assert set(known) == {f"a/{HPARAMS}", f"b/{HPARAMS}"}
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=9,
        allowed_statuses=[api_pb2.STATUS_SUCCESS],
        col_params=[{"metric": info.name} for info in experiment.metric_infos],
        include_metrics=True,
    )
    groups = list_session_groups.Handler(request, context, "", asked).run().session_groups
    found = {group.hparams["strategy"].string_value: group.metric_values[0].value for group in groups}
    assert found == {"simclr": 0.25, "moco": 0.5}
    (moco_,) = [group for group in groups if group.hparams["strategy"].string_value == "moco"]
    assert moco_.hparams["betas"].string_value == "[0.9, 0.99]" and moco_.hparams["lr"].number_value == 0.2
