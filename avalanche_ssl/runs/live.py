"""The logs of a run while it lasts: always `log.jsonl`, and what `--logger` names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avalanche_ssl import distributed
from avalanche_ssl.logging import JSONLinesLogger, RunEvent
from avalanche_ssl.plugins import ProbePlugin, RunTensorBoard
from avalanche_ssl.recipes import flatten
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.processes import NoLog
from avalanche_ssl.runs.provenance import commit, versions
from avalanche_ssl.runs.summary import summary
from avalanche_ssl.streams import REGIMES, experience_sizes


@dataclass
class LiveLogs:
    """The logs of a run, which a checkpoint rewinds together.

    Args:
        events: `log.jsonl`.
        board: TensorBoard's, if it is asked for.
        evaluator: of the strategy; None without a logger of Avalanche.
    """

    events: JSONLinesLogger | NoLog
    board: RunTensorBoard | None
    evaluator: Any

    def position(self) -> dict[str, Any]:
        """How far they have come."""
        return self.events.position() | ({"tensorboard": self.board.position()} if self.board else {})

    def rewind(self, position: dict[str, Any]) -> None:
        """Cut off what was written after `position`; TensorBoard's files are left alone if none was written then."""
        self.events.rewind(position)
        if self.board and "tensorboard" in position:
            self.board.rewind(position["tensorboard"])

    def flush_metrics(self, strategy: Any) -> None:
        """Give the loggers what was measured outside of training."""
        strategy.evaluator.after_measurement(strategy)

    def begin(self, config: RunConfig, benchmark: Any, probe: ProbePlugin | None, stream: str) -> None:
        """Log the configuration, the code, and classes, training images and hash of the stream."""
        self.events(
            RunEvent(
                title=config.title,
                config=config.as_dict(),
                device=config.device,
                precision=config.precision,
                versions=versions(),
                classes=len(benchmark.class_names or probe.classes) if probe else None,
                images=sum(experience_sizes(benchmark, REGIMES[0])),
                stream=stream,
                commit=commit(),
                processes=distributed.size(),
            )
        )

    def write_hyperparameters(self, config: RunConfig, probe: ProbePlugin | None, step: int) -> None:
        """Add the run to TensorBoard's view of hyperparameters, with what its probe has found, after so many steps."""
        if self.board is None:
            return
        found: dict[str, float] = {}
        if probe:
            found = summary(
                probe.matrix("all"), probe.untrained("all"), probe.consolidation, probe.frozen_matrix("all")
            )
        metrics = {name.replace(" ", "_"): value for name, value in found.items() if np.isfinite(value)}
        options = flatten({name: value for name, value in config.decisive.items() if name != "settings"})
        self.board.write_hyperparameters(options | flatten(config.settings), metrics, step)


def live_logs(config: RunConfig, out: Path, probed: bool) -> LiveLogs:
    """The logs of a run in a folder, whose strategy has a `ProbePlugin` or not; of several processes one has any."""
    if not distributed.is_main():
        return LiveLogs(NoLog(), None, None)
    board = RunTensorBoard(out) if config.logger == "tensorboard" else None
    return LiveLogs(JSONLinesLogger(out / "log.jsonl"), board, board and board.evaluator(probed))
