"""Settings chosen on validation data: the trials of each strategy, the best of them, and the files that tell of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.runs.reader import read_run
from avalanche_ssl.runs.summary import METRICS, percent

METRIC = "average accuracy"
"""By which settings are chosen, of the headline probe in the scope "all"."""
TABLE = "selection"
"""Name of the files, without `.md` and `.csv`."""
NONE = "(the recipe's)"
"""The settings of a trial that changes none."""


@dataclass(frozen=True)
class Trial:
    """One choice of settings of a strategy, with what it reached.

    Args:
        settings: KEY=VALUE each.
        accuracies: by seed; NaN where the run did not finish.
    """

    settings: tuple[str, ...]
    accuracies: Mapping[str, float]

    @property
    def score(self) -> float:
        """Mean over the seeds; NaN if a run did not finish."""
        return float(np.mean(list(self.accuracies.values())))

    @property
    def text(self) -> str:
        """The settings in words."""
        return " ".join(self.settings) or NONE


def validation_accuracy(folder: Path, eval_on: str) -> float:
    """What a finished run on validation data reached, by its headline probe.

    Raises:
        UsageError: it cannot be read, or was scored on something else.
    """
    run = read_run(folder)
    if run.config.get("eval_on") != eval_on:
        raise UsageError(f"{folder} was not scored on {eval_on}: give another --out")
    probe = next(iter(run.accuracies))[0]
    function = METRICS[METRIC].function
    assert function is not None
    return function(run.matrix(probe, "all"), run.untrained(probe, "all"))


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of the highest score, the first of several; one with an unfinished run is none.

    Raises:
        UsageError: there is none.
    """
    scored = [trial for trial in trials if not math.isnan(trial.score)]
    if not scored:
        raise UsageError("no trial has finished, so there is nothing to choose from: see the .txt files of the runs")
    return max(scored, key=lambda trial: trial.score)


@dataclass(frozen=True)
class Selection:
    """The choice for every strategy, with the budget that all of them had.

    Args:
        trials: by strategy, as many of each.
        eval_on: what they were scored on, as `--eval-on` names it.
        drawn_from: all settings of the grid of each strategy.
        probe: the headline probe.
        others: runs that lie among the trials and are none of them, e.g. of a grid of before.
    """

    trials: Mapping[str, Sequence[Trial]]
    eval_on: str
    drawn_from: Mapping[str, Sequence[tuple[str, ...]]]
    probe: str
    others: int = 0

    def chosen(self, strategy: str) -> Trial:
        """The best trial of a strategy."""
        return best(self.trials[strategy])

    @property
    def seeds(self) -> list[str]:
        """Of the trials."""
        return list(next(iter(self.trials.values()))[0].accuracies)

    def markdown(self) -> str:
        """The budget, the ranges and the choice of each strategy, and all trials with their scores."""
        count = len(next(iter(self.trials.values())))
        head = (
            f"{count} {'trial' if count == 1 else 'trials'} of each strategy, on "
            f"{'seed' if len(self.seeds) == 1 else 'seeds'} {', '.join(self.seeds)}, scored on {self.eval_on}, a part "
            f"of the training data, by probe {self.probe}: {METRIC} after the last experience, in per cent. The test "
            "data were not used."
        )
        if self.others:
            head += f" Not counted are runs of other settings or seeds that lie among the trials: {self.others}."
        lines = [
            "# Selection",
            "",
            head,
            "",
            "| strategy | ranges | trials | chosen | accuracy |",
            "|---|---|---|---|---|",
        ]
        for name in self.trials:
            chosen, every = self.chosen(name), self.drawn_from[name]
            number = f"{count} of {len(every)}" if len(every) > count else f"{count}"
            lines.append(f"| {name} | {ranges(every)} | {number} | {chosen.text} | {percent(chosen.score)} |")
        for name, trials in self.trials.items():
            lines += ["", f"## {name}", "", f"| settings | mean | {' | '.join(f'seed {s}' for s in self.seeds)} |"]
            lines.append("|---|" + "---|" * (1 + len(self.seeds)))
            for trial in sorted(trials, key=lambda t: (math.isnan(t.score), -t.score)):
                numbers = [trial.score, *trial.accuracies.values()]
                lines.append(f"| {trial.text} | {' | '.join(map(_number, numbers))} |")
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """A line for each trial and seed; accuracies are empty where a run did not finish."""
        text = io.StringIO()
        write = csv.writer(text, lineterminator="\n").writerow
        write(["strategy", "settings", "seed", "eval_on", "accuracy", "chosen"])
        for name, trials in self.trials.items():
            chosen = self.chosen(name)
            for trial in trials:
                for seed, accuracy in trial.accuracies.items():
                    shown = "" if math.isnan(accuracy) else repr(accuracy)
                    write([name, " ".join(trial.settings), seed, self.eval_on, shown, int(trial == chosen)])
        return text.getvalue()

    def say_and_write(self, out: Path) -> None:
        """Print what was chosen, and write both files into a folder.

        Raises:
            UsageError: the disk refuses.
        """
        for name in self.trials:
            print(f"chosen for {name}: {(best := self.chosen(name)).text} ({percent(best.score)} % on {self.eval_on})")
        for path in self.write(out):
            print(f"-> {path}")

    def write(self, out: Path) -> list[Path]:
        """Write both files into a folder.

        Raises:
            UsageError: the disk refuses.
        """
        paths = []
        for suffix, text in ((".md", self.markdown()), (".csv", self.csv())):
            paths.append(out / f"{TABLE}{suffix}")
            with replacing(paths[-1]) as file:
                file.write(text.encode())
        return paths


def ranges(every: Sequence[tuple[str, ...]]) -> str:
    """The values of each setting of a grid, as KEY=V1,V2."""
    values: dict[str, dict[str, None]] = {}
    for settings in every:
        for setting in settings:
            key, _, value = setting.partition("=")
            values.setdefault(key, {})[value] = None
    return " ".join(f"{key}={','.join(each)}" for key, each in values.items()) or NONE


def _number(value: float) -> str:
    return "failed" if math.isnan(value) else percent(value)
