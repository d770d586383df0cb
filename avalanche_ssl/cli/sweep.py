"""Run a grid of strategies, plugins, seeds and settings; started again it skips finished runs and resumes others.

avalanche-ssl sweep --strategy cmc,simclr,moco --seeds 0,1,2
avalanche-ssl sweep --strategy simclr --seeds 0,1 --grid lr=0.001,0.003 --jobs 2 -- --epochs 2
avalanche-ssl sweep --strategy simclr,cmc --plugin none,replay,replay+cla-e --seeds 0,1,2 -- --set replay.size=500
avalanche-ssl sweep --strategy simclr --seeds 0,1,2 --reference iid,supervised
avalanche-ssl sweep --strategy simclr,moco --grid lr=0.001,0.003 --grid temperature=0.1,0.2 --select val --seeds 0,1,2
avalanche-ssl report runs/sweep/*/
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from avalanche_ssl.cli.command import command
from avalanche_ssl.cli.grid import NONE, axes, check_shared, combinations, run_name, subjects, whole_numbers
from avalanche_ssl.cli.jobs import check_jobs, command_of, run_jobs
from avalanche_ssl.cli.run import RunParser
from avalanche_ssl.cli.selection import TrialPlan, reported_jobs
from avalanche_ssl.errors import UsageError, unknown_name


@command("avalanche-ssl sweep")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; exit status 1 if a run failed."""
    parser = RunParser(prog="avalanche-ssl sweep", description=__doc__)
    parser.before = "-- "
    add = parser.add_argument
    add("--strategy", required=True, metavar="NAMES", help="comma-separated")
    add(
        "--plugin",
        default=NONE,
        metavar="NAMES",
        help="sets of plugins, comma-separated: none,replay,replay+cla-e (none)",
    )
    add("--seeds", default="0", metavar="NUMBERS", help="comma-separated (0)")
    add("--stream-seeds", default="", metavar="NUMBERS", help="each with every seed (the stream follows the seed)")
    add(
        "--grid",
        action="append",
        default=[],
        metavar="KEY=V1,V2",
        help="values of a setting; of one strategy STRATEGY:KEY=V1,V2; repeatable",
    )
    add(
        "--select",
        metavar="PART",
        help="choose settings of the grid on validation data, val or val:N (see run --eval-on), by as many trials of "
        "each strategy; then train with them on all data, scored on test data",
    )
    add("--trials", type=int, metavar="N", help="with --select: N settings of each, drawn from its grid (all)")
    add("--select-seeds", default="999", metavar="NUMBERS", help="of the trials (999)")
    add("--skip-failed", action="store_true", help="with --select: choose among the trials that finish")
    add("--out", type=Path, default=Path("runs/sweep"), metavar="DIR", help="one folder per run inside (runs/sweep)")
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time (1)")
    add("--overwrite", action="store_true", help="replace runs of other settings that are there already")
    add(
        "--reference",
        default=NONE,
        metavar="NAMES",
        help="then train what the runs are to be compared with, with as many views: iid, supervised, supervised-iid "
        "(none); comma-separated",
    )
    add("--dry-run", action="store_true", help="print the commands of the runs, and run none")
    add("rest", nargs="*", metavar="-- OPTIONS", help="options of `avalanche-ssl run` for all runs")
    options = parser.parse_args(arguments)
    jobs, selection = _jobs(options)
    kinds = _kinds(options.reference)
    if options.dry_run:
        print(*(command_of(out, words) for out, words in jobs.items()), *_to_follow(options, kinds), sep="\n")
        return 0
    if selection:
        found = selection.run(overwrite=options.overwrite, processes=options.jobs, skip_failed=options.skip_failed)
        jobs = reported_jobs(selection.chosen(found), *_seeds(options), options.rest, options.out)
        check_jobs(jobs, overwrite=options.overwrite)  # the files tell of the selection by which runs are reported
        found.say_and_write(options.out)
    failed = run_jobs(jobs, overwrite=options.overwrite, processes=options.jobs)
    if kinds:
        references = _references([out for out in jobs if out not in failed], kinds, options.out)
        failed += run_jobs(references, overwrite=options.overwrite, processes=options.jobs)
    print(f"next: avalanche-ssl report {options.out}/{'*-s*' if selection else '*'}/")
    return 1 if failed else 0


def _jobs(options: argparse.Namespace) -> tuple[dict[Path, list[str]], TrialPlan | None]:
    """The options of each run, by its folder; with --select those of the trials, and their plan."""
    if not options.select:
        if options.trials is not None or options.skip_failed:
            raise UsageError("--trials and --skip-failed are about a selection: give --select val, too")
        more = (options.grid, options.out, options.stream_seeds, options.rest)
        return plan(options.strategy, options.plugin, options.seeds, *more), None
    selection = TrialPlan(
        subjects(options.strategy, options.plugin),
        options.grid,
        options.trials,
        eval_on=options.select,
        seeds=whole_numbers(options.select_seeds, "--select-seeds"),
        reported=_seeds(options)[0],
        rest=options.rest,
        out=options.out,
    )
    return selection.jobs, selection


def _to_follow(options: argparse.Namespace, kinds: Sequence[str]) -> list[str]:
    """What runs after the commands that can be said beforehand, as comments of a shell."""
    chosen = f"# then each strategy with its chosen settings, of seeds {', '.join(_seeds(options)[0])}"
    references = f"# then references, with as many views as the runs: {', '.join(kinds)}"
    return [*([chosen] if options.select else []), *([references] if kinds else [])]


def _seeds(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    return whole_numbers(options.seeds, "--seeds"), _stream_seeds(options.stream_seeds)


def _stream_seeds(text: str) -> list[str]:
    return whole_numbers(text, "--stream-seeds") if text else []


def plan(
    strategies: str,
    plugins: str,
    seeds: str,
    grid: Sequence[str],
    out: Path,
    stream_seeds: str = "",
    rest: Sequence[str] = (),
) -> dict[Path, list[str]]:
    """The options of each run, by its folder.

    Raises:
        UsageError: a seed is no number, a plugin is not known, a grid has no values, or an option is given twice.
    """
    found = subjects(strategies, plugins)
    parsed = axes(grid, found)
    every = [(subject, combinations(subject, parsed)) for subject in found]
    numbers, streams = whole_numbers(seeds, "--seeds"), _stream_seeds(stream_seeds)
    check_shared(rest, found, parsed, ["--stream-seed"] if streams else [])
    return {
        out / run_name(subject, settings, seed, stream): [*subject.shared(rest), *subject.words(settings, seed, stream)]
        for subject, each in every
        for stream in streams or [""]
        for seed in numbers
        for settings in each
    }


def _kinds(text: str) -> list[str]:
    """Kinds of references.

    Raises:
        UsageError: one is not known.
    """
    from avalanche_ssl.runs import REFERENCES

    kinds = [] if text == NONE else text.split(",")
    for kind in kinds:
        if kind not in REFERENCES:
            raise unknown_name("reference", kind, (NONE, *REFERENCES))
    return kinds


def _references(folders: Sequence[Path], kinds: Collection[str], out: Path) -> dict[Path, list[str]]:
    """The options of the references of finished runs, by their folders; each once, and in a file next to its folder.

    One that is finished keeps its own options, since its name says all that decides: its images may lie elsewhere now.
    """
    import yaml

    from avalanche_ssl.runs import read_run, reference_of_run
    from avalanche_ssl.runs.folder import is_finished

    jobs: dict[Path, list[str]] = {}
    for run in map(read_run, folders):
        for kind in kinds:
            reference = reference_of_run(run, kind)
            if reference is not None and out / reference.name not in jobs:
                file = out / reference.name / "config.yaml"
                if not is_finished(file.parent):
                    file = out / f"{reference.name}.yaml"
                    file.write_text(yaml.safe_dump(reference.config, sort_keys=False), encoding="utf-8")
                jobs[out / reference.name] = ["--config", str(file), "--trust-strategy"]
    return jobs
