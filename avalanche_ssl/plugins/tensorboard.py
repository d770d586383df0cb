"""TensorBoard of a run: event files that a resumed run continues, and a line in the view of hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from avalanche.logging import BaseLogger, TensorboardLogger
from avalanche.training.plugins import EvaluationPlugin
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from avalanche_ssl.logging import EVENT_FILES, HPARAMS, cut_event_files, event_file_sizes
from avalanche_ssl.plugins.matrix_metrics import probe_metrics


class RunTensorBoard(TensorboardLogger):  # type: ignore[misc]
    """Avalanche's TensorBoard logger for a folder of a run, with the loss of each step.

    Args:
        folder: of the run; a file is made in it when the first value comes.
    """

    def __init__(self, folder: Path) -> None:
        BaseLogger.__init__(self)  # TensorboardLogger's makes a file
        self.folder = folder

    def evaluator(self, probed: bool) -> EvaluationPlugin:
        """An evaluator with this logger, for a strategy with a `ProbePlugin` or without one."""
        return EvaluationPlugin(*(probe_metrics() if probed else ()), loggers=[self], collect_all=False)

    @cached_property
    def writer(self) -> Any:
        """Writes to a file of its own."""
        return self._make_writer(self.folder, "")

    def after_training_iteration(self, strategy: Any, metric_values: Any, **kwargs: Any) -> None:
        """Write the loss of the step, unless it was skipped."""
        if not strategy.nonfinite_guard.skipping:
            step = strategy.clock.train_iterations
            self.log_single_metric("Loss_MB/train_phase/train_stream", float(strategy.loss.detach()), step)

    def position(self) -> dict[str, int]:
        """Bytes of each event file, for `rewind`; everything so far is on the disk then."""
        if "writer" in vars(self):
            self.writer.flush()
        return event_file_sizes(self.folder)

    def rewind(self, position: Mapping[str, int]) -> None:
        """Cut off what was written after `position`; what comes goes to another file."""
        if "writer" in vars(self):
            self.writer.close()
            del self.writer
        cut_event_files(self.folder, position)

    def write_hyperparameters(self, settings: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
        """Add the run to the view of hyperparameters: its settings, and what it has reached with them.

        The description of an experiment is left out: from a folder of many runs, TensorBoard would read that of one,
        and show no setting that this one does not have.
        """
        folder = self.folder / HPARAMS
        for path in folder.glob(EVENT_FILES):
            path.unlink()
        plain = {name: value if isinstance(value, int | float) else str(value) for name, value in settings.items()}
        _, begin, end = hparams(plain, dict(metrics))  # type: ignore[no-untyped-call]
        with SummaryWriter(folder) as writer:
            for summary in (begin, end):
                writer._get_file_writer().add_summary(summary)
            for name, value in metrics.items():
                writer.add_scalar(name, value, step)
