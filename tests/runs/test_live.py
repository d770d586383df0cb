"""The logs of a run while it lasts: what they hold, and how a checkpoint rewinds them together."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from avalanche_ssl.logging import HPARAMS, ConsolidationEvent, EndEvent
from avalanche_ssl.runs import RunConfig, read_run
from avalanche_ssl.runs.live import live_logs

EVENT = ConsolidationEvent(experiences_trained=2, accuracy=0.5, chance=0.5)
BOARD = RunConfig(strategy="moco", logger="tensorboard", settings={"lr": 0.5, "augment": {"size": 32}})


def test_without_a_logger_there_is_the_log_alone(tmp_path: Path) -> None:
    logs = live_logs(RunConfig(strategy="moco"), tmp_path, probed=True)
    assert (logs.board, logs.evaluator) == (None, None)
    stream = SimpleNamespace(class_names=None, train_stream=[SimpleNamespace(dataset=range(n)) for n in (5, 4)])
    logs.begin(RunConfig(strategy="moco", seed=3), stream, SimpleNamespace(classes=range(7)), "a1b2")  # type: ignore
    logs.events(EndEvent(images_trained=1, train_seconds=1.0, seconds=1.0))
    logs.write_hyperparameters(BOARD, None, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    position = logs.position()
    logs.events(EVENT)
    logs.rewind(position)
    assert logs.position() == position and set(position) == {"bytes", "crc32"}
    line = (tmp_path / "log.jsonl").read_text().splitlines()[0]
    assert '"title": "moco on split-digits, seed 3"' in line and '"classes": 7, "images": 9, "stream": "a1b2"' in line
    assert '"torch": ' in line


def test_both_are_rewound(tmp_path: Path) -> None:
    logs = live_logs(BOARD, tmp_path, probed=False)
    assert logs.board is not None and logs.evaluator.loggers == [logs.board]
    logs.board.log_single_metric("a", 0.5, 1)
    logs.events(EVENT)
    position = logs.position()
    logs.board.log_single_metric("a", 0.5, 2)
    logs.events(EVENT)
    logs.rewind(position)
    assert logs.position() == position and len(position["tensorboard"]) == 1
    steps = [event.step for event in EventAccumulator(str(tmp_path)).Reload().Scalars("a")]
    assert steps == [1]


def test_a_logger_may_come_and_go(tmp_path: Path) -> None:
    """A checkpoint of a run without TensorBoard says nothing of its files: they are left alone."""
    plain, board = live_logs(RunConfig(strategy="moco"), tmp_path, False), live_logs(BOARD, tmp_path, False)
    assert board.board is not None
    board.board.log_single_metric("a", 0.5, 1)
    position = board.position()
    plain.rewind(position)
    board.rewind(plain.position())
    assert board.position() == position


def test_what_was_measured_before_training_is_logged_at_once(tmp_path: Path) -> None:
    from avalanche.evaluation.metric_results import MetricValue

    logs = live_logs(BOARD, tmp_path, probed=False)
    strategy = SimpleNamespace(evaluator=logs.evaluator, experience=None)
    logs.evaluator.publish_metric_value(MetricValue(None, "a", 0.5, 0))
    logs.flush_metrics(strategy)
    assert logs.position()["tensorboard"]
    assert EventAccumulator(str(tmp_path)).Reload().Scalars("a")[0].value == 0.5


def test_the_view_of_hyperparameters_gets_settings_and_metrics(tmp_path: Path) -> None:
    logs = live_logs(BOARD, tmp_path, probed=True)
    written: list[Any] = []
    logs.board = SimpleNamespace(write_hyperparameters=lambda *given: written.append(given))  # type: ignore[assignment]
    matrix = np.array([[0.5, 0.25], [0.75, 1.0]])
    probe: Any = SimpleNamespace(
        matrix=lambda scope: matrix,
        untrained=lambda scope: np.array([0.25, 0.25]),
        frozen_matrix=lambda scope: np.array([[0.5, np.nan], [0.25, 1.0]]),
        consolidation=float("nan"),
    )
    logs.write_hyperparameters(BOARD, probe, 9)
    ((settings, metrics, step),) = written
    assert settings["lr"] == 0.5 and settings["augment.size"] == 32 and settings["strategy"] == "moco"
    assert not settings.keys() & {"logger", "num_workers", "data", "settings"}
    assert metrics["average_accuracy"] == pytest.approx(0.875)
    assert metrics["forgetting_(frozen_probe)"] == pytest.approx(0.25) and "consolidation" not in metrics
    assert step == 9


@pytest.mark.slow
def test_a_run_leaves_a_line_in_the_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crashes import small_run
    from helpers.encoders import tiny

    from avalanche_ssl.cli import run
    from avalanche_ssl.models import ENCODERS
    from avalanche_ssl.streams import BENCHMARKS

    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    out = tmp_path / "a"
    options = [*small_run.run_options("simclr", plugins="replay"), "--logger", "tensorboard", "--out", str(out)]
    assert run.main(options) == 0
    found = EventAccumulator(str(out / HPARAMS)).Reload()
    matrix = read_run(out).matrix("ridge", "all")
    assert found.Scalars("average_accuracy")[0].value == pytest.approx(matrix[-1].mean())


@pytest.mark.slow
def test_a_killed_run_has_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a checkpoint inside an experience; what came after it was on the disk already."""
    from crashes import small_run
    from helpers.encoders import tiny

    from avalanche_ssl.checkpointing import Checkpointer
    from avalanche_ssl.cli import run
    from avalanche_ssl.methods import SimCLR
    from avalanche_ssl.models import ENCODERS
    from avalanche_ssl.plugins import RunTensorBoard
    from avalanche_ssl.streams import BENCHMARKS

    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    monkeypatch.setitem(Checkpointer.__init__.__kwdefaults__, "share", 1.0)  # type: ignore[arg-type]

    def go(out: str, kill_at: int) -> int:
        steps = []

        def update(self: Any, outputs: Any) -> None:
            steps.append(1)
            if len(steps) == kill_at:
                boards[-1].writer.flush()
                raise KeyboardInterrupt

        def evaluator(self: RunTensorBoard, probed: bool) -> Any:
            boards.append(self)
            return made(self, probed)

        boards: list[RunTensorBoard] = []
        made = RunTensorBoard.evaluator
        with monkeypatch.context() as patch:
            patch.setattr(SimCLR, "update", update)
            patch.setattr(RunTensorBoard, "evaluator", evaluator)
            options = small_run.run_options("simclr")
            every = ["--checkpoint-every", "4it", "--logger", "tensorboard", "--resume", "--out", str(tmp_path / out)]
            return run.main([*options, *every])

    def values(out: str) -> dict[str, list[tuple[int, float]]]:
        board = EventAccumulator(str(tmp_path / out), size_guidance={"scalars": 0}).Reload()
        return {tag: sorted((e.step, e.value) for e in board.Scalars(tag)) for tag in board.Tags()["scalars"]}

    assert go("whole", 0) == 0
    steps = len(values("whole")["Loss_MB/train_phase/train_stream"])
    assert go("killed", steps // 2 + 2) == 130 and go("killed", 3) == 130 and go("killed", 0) == 0
    assert values("killed") == values("whole")
    assert [step for step, _ in values("killed")["Loss_MB/train_phase/train_stream"]] == list(range(steps))
    assert len(list((tmp_path / "killed").glob("events*"))) > 1
    assert run.main(["--resume", "--out", str(tmp_path / "killed")]) == 0
