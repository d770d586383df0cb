"""Selection of a sweep: trials scored on a validation part, as many for each strategy, and then the runs to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.grid import Settings, Subject, axes, check_shared, combinations, run_name, trials
from avalanche_ssl.cli.jobs import run_jobs
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.cli.run import parser
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.runs.selection import Selection

FOLDER = "trials"
"""Of the trials, in that of the sweep."""
GIVEN = ("--eval-on", "--stream-seed")
"""Options that a selection gives to its runs, besides those that every sweep gives."""


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
        if shared := [seed for seed in seeds if seed in reported]:
            raise UsageError(
                f"seed {shared[0]} is one of the runs to report: give --select-seeds other ones, so that nothing that "
                "is reported was chosen on"
            )
        parsed = axes(grid, found)
        check_shared(rest, found, parsed, GIVEN)
        self.trials = trials(found, parsed, number)
        self.drawn_from = {subject.name: combinations(subject, parsed) for subject in found}
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

    def run(self, *, overwrite: bool, processes: int, skip_failed: bool) -> Selection:
        """Run what is missing of the trials, and read what they have reached.

        Raises:
            UsageError: a trial failed and failures are not to be skipped, or all of a strategy did; or trials would be
                trained on test images of the runs to report.
        """
        from avalanche_ssl.runs import read_run
        from avalanche_ssl.runs.folder import is_finished
        from avalanche_ssl.runs.selection import Selection, Trial, validation_accuracy

        self._check_test_images()
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
        others = {path.parent for path in (self.out / FOLDER).glob("*/log.jsonl")} - self.jobs.keys()
        return Selection(found, self.eval_on, self.drawn_from, probe, len(others))

    def chosen(self, found: Selection) -> dict[Subject, Settings]:
        """The best settings of each strategy."""
        return {subject: found.chosen(subject.name).settings for subject in self.trials}

    def _check_test_images(self) -> None:
        """Refuse a folder of whose images every seed draws others for testing: trials would learn from them.

        Raises:
            UsageError: says what to do.
        """
        from avalanche_ssl.streams import find_files

        config = read_options(parser().parse_args(next(iter(self.jobs.values()))))
        if config.benchmark != "folder" or not config.data or config.stream_seed is not None:
            return
        if find_files(config.data, str(config.benchmark_options.get("labels", "auto"))).test is None:
            raise UsageError(
                f"every seed draws other test images of {config.data}, so that trials would learn from those of the "
                "runs to report: put some into a folder test beside train, or give `-- --benchmark-option seed=0`"
            )


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
        out / run_name(subject, (), seed, stream): [
            *subject.shared(rest),
            *subject.words(settings, seed, stream),
            "--eval-on",
            "test",
        ]
        for subject, settings in chosen.items()
        for seed in seeds
        for stream in stream_seeds or [""]
    }
