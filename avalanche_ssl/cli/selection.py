"""Selection of a sweep: trials scored on a validation part, as many for each strategy, and then the runs to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from avalanche_ssl.cli.grid import Settings, Subject, axes, combinations, run_name, trials
from avalanche_ssl.cli.jobs import run_jobs
from avalanche_ssl.errors import UsageError

FOLDER = "trials"
"""Of the trials, in that of the sweep."""
RESERVED = ("--eval-on", "--seed", "--stream-seed")
"""Options of a run that a selection gives."""


class TrialPlan:
    """The trials of a selection.

    Args:
        found: what settings are chosen for.
        grid: values of settings.
        number: trials of each; None: every combination.
        eval_on: what trials are scored on: "val" or "val:N".
        seeds: of the trials.
        reported: seeds of the runs to report, none of which a trial may have.
        rest: options of all runs.
        out: the folder of the sweep.

    Raises:
        UsageError: strategies would have different numbers of trials, seeds overlap, or an option is given twice.
    """

    def __init__(
        self,
        found: Sequence[Subject],
        grid: Sequence[str],
        number: int | None,
        *,
        eval_on: str,
        seeds: Sequence[str],
        reported: Sequence[str],
        rest: Sequence[str],
        out: Path,
    ) -> None:
        from avalanche_ssl.runs.stream_options import TEST, validation_experiences

        validation_experiences(eval_on)
        if eval_on == TEST:
            raise UsageError("--select test: settings are chosen on validation data, give val, or val:N")
        for word in rest:
            if word.partition("=")[0] in RESERVED:
                raise UsageError(f"--select gives {', '.join(RESERVED)} to the runs: leave {word} out")
        if shared := [seed for seed in seeds if seed in reported]:
            raise UsageError(
                f"seed {shared[0]} is one of the runs to report: give --select-seeds other ones, so that nothing that "
                "is reported was chosen on"
            )
        parsed = axes(grid, found)
        self.trials = trials(found, parsed, number)
        self.drawn_from = {subject.name: len(combinations(subject, parsed)) for subject in found}
        self.eval_on, self.seeds, self.rest, self.out = eval_on, list(seeds), list(rest), out

    def folder(self, subject: Subject, settings: Settings, seed: str) -> Path:
        """The folder of a trial."""
        return self.out / FOLDER / run_name(subject, settings, seed)

    @property
    def jobs(self) -> dict[Path, list[str]]:
        """The options of the runs of all trials, by folder."""
        return {
            self.folder(subject, settings, seed): [
                *subject.shared(self.rest),
                *subject.words(settings, seed),
                "--eval-on",
                self.eval_on,
            ]
            for subject, each in self.trials.items()
            for settings in each
            for seed in self.seeds
        }

    def run(self, *, overwrite: bool, processes: int, skip_failed: bool) -> Mapping[Subject, Settings]:
        """Run what is missing of the trials, write what they say, and give the best settings of each strategy.

        Raises:
            UsageError: a trial failed and failures are not to be skipped, or all of a strategy did.
        """
        from avalanche_ssl.runs import read_run
        from avalanche_ssl.runs.folder import is_finished
        from avalanche_ssl.runs.selection import Selection, Trial, validation_accuracy

        failed = run_jobs(self.jobs, overwrite=overwrite, processes=processes)
        if failed and not skip_failed:
            raise UsageError(
                f"{len(failed)} of {len(self.jobs)} trials failed, {failed[0]} first: start the sweep again to go on, "
                "leave its values out, or give --skip-failed to choose among the others"
            )

        def accuracy(folder: Path) -> float:
            return validation_accuracy(folder, self.eval_on) if is_finished(folder) else float("nan")

        found = {
            subject.name: [
                Trial(s, {seed: accuracy(self.folder(subject, s, seed)) for seed in self.seeds}) for s in each
            ]
            for subject, each in self.trials.items()
        }
        done = next((folder for folder in self.jobs if is_finished(folder)), None)
        probe = next(iter(read_run(done).accuracies))[0] if done else ""
        selection = Selection(found, self.eval_on, self.drawn_from, probe)
        chosen = {subject: selection.chosen(subject.name) for subject in self.trials}
        for subject, trial in chosen.items():
            print(f"chosen for {subject.name}: {trial.text} ({100 * trial.score:.1f} % on {self.eval_on})")
        for path in selection.write(self.out):
            print(f"-> {path}")
        return {subject: trial.settings for subject, trial in chosen.items()}


def reported_jobs(
    chosen: Mapping[Subject, Settings],
    seeds: Sequence[str],
    stream_seeds: Sequence[str],
    rest: Sequence[str],
    out: Path,
) -> dict[Path, list[str]]:
    """The options of the runs on all training data, scored on test data, by folder: one for each seed.

    The folder does not name the settings: if others are chosen later, the run that is there is refused, so that test
    data are not scored twice without a word.
    """
    return {
        out / run_name(subject, (), seed, stream): [*subject.shared(rest), *subject.words(settings, seed, stream)]
        for subject, settings in chosen.items()
        for seed in seeds
        for stream in stream_seeds or [""]
    }
