"""Run a grid of strategies, plugins, seeds and settings; started again it skips finished runs and resumes others.

avalanche-ssl sweep --strategy cmc,simclr,moco --seeds 0,1,2
avalanche-ssl sweep --strategy simclr --seeds 0,1 --grid lr=0.001,0.003 --jobs 2 -- --epochs 2
avalanche-ssl sweep --strategy simclr,cmc --plugin none,replay,replay+cla-e --seeds 0,1,2 -- --set replay.size=500
avalanche-ssl report runs/sweep/*/
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from avalanche_ssl.cli.command import command
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.cli.run import RunParser
from avalanche_ssl.cli.run import parser as run_parser
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.plugins import PLUGINS
from avalanche_ssl.runs.folder import check_out, is_finished

NONE = "none"
"""The set of no plugins."""
RUN = [sys.executable, "-m", "avalanche_ssl", "run"]
"""The command of a run."""


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
    add("--grid", action="append", default=[], metavar="KEY=V1,V2", help="values of a setting; repeatable")
    add("--out", type=Path, default=Path("runs/sweep"), metavar="DIR", help="one folder per run inside (runs/sweep)")
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time (1)")
    add("--overwrite", action="store_true", help="replace runs of other settings that are there already")
    add("rest", nargs="*", metavar="-- OPTIONS", help="options of `avalanche-ssl run` for all runs")
    options = parser.parse_args(arguments)
    jobs = plan(options.strategy, options.plugin, options.seeds, options.grid, options.out)
    if options.jobs < 1:
        raise UsageError(f"--jobs is {options.jobs}: give 1 or more")
    todo = {}
    for out, chosen in jobs.items():
        words = [*_without_other_plugins(options.rest, chosen), *chosen]
        if mode := _mode(out, words, options.overwrite):
            todo[out] = [*words, mode]
    print(f"{len(jobs)} runs, {len(jobs) - len(todo)} finished already")
    with ThreadPoolExecutor(options.jobs) as pool:
        failed = [out for out, ok in pool.map(lambda out: _run(out, todo[out]), todo) if not ok]
    for out in failed:
        print(f"failed: {out} (see {out}.txt)")
    print(f"next: avalanche-ssl report {options.out}/*/")
    return 1 if failed else 0


def plan(strategies: str, plugins: str, seeds: str, grid: list[str], out: Path) -> dict[Path, list[str]]:
    """The options of each run, by its folder.

    Raises:
        UsageError: a seed is no number, a plugin is not known, or a grid has no values.
    """
    for name in plugins.replace("+", ",").split(","):
        if name not in (NONE, *PLUGINS):
            raise unknown_name("plugin", name, (NONE, *PLUGINS))
    for seed in seeds.split(","):
        if not seed.isdecimal():
            raise UsageError(f"seed '{seed}': give whole numbers, e.g. --seeds 0,1,2")
    axes = []
    for text in grid:
        name, equals, values = text.partition("=")
        if not equals or not all(values.split(",")):
            raise UsageError(f"grid '{text}': give KEY=V1,V2")
        axes.append([f"{name}={value}" for value in values.split(",")])
    jobs = {}
    first = (strategies.split(","), plugins.split(","), seeds.split(","))
    for strategy, joined, seed, *settings in itertools.product(*first, *axes):
        chosen = [] if joined == NONE else joined.split("+")
        settings = [setting for setting in settings if not _of_other_plugin(setting, chosen)]
        trained = "+".join([Path(strategy).stem, *chosen])
        name = "-".join([trained, *(s.replace("/", "_") for s in settings), f"s{seed}"])
        words = [word for plugin in chosen for word in ("--plugin", plugin)]
        words += [word for setting in settings for word in ("--set", setting)]
        jobs[out / name] = ["--strategy", strategy, "--seed", seed, *words]
    return jobs


def _of_other_plugin(setting: str, chosen: list[str]) -> bool:
    """Whether a setting is that of a plugin which is not among the chosen ones."""
    head = setting.partition("=")[0].partition(".")[0]
    return head in PLUGINS and head not in chosen


def _without_other_plugins(words: list[str], chosen: list[str]) -> list[str]:
    """Options of all runs for one of them: a plugin's settings are for the runs that have it."""
    kept: list[str] = []
    for word in words:
        follows = kept[-1:] == ["--set"]
        setting = word if follows else word.removeprefix("--set=") if word.startswith("--set=") else ""
        if not _of_other_plugin(setting, chosen):
            kept.append(word)
        elif follows:
            kept.pop()
    return kept


def _mode(out: Path, words: list[str], overwrite: bool) -> str:
    """The option by which a run is started or goes on; none if it is finished.

    Raises:
        UsageError: an option is wrong, or a run of other settings or something else is there.
    """
    check_out(out, overwrite=True)
    config = read_options(run_parser().parse_args(words))
    from avalanche_ssl.runs.build import differences, resolve

    if not (out / "config.yaml").exists():
        resolve(config)  # a mistake of a later run shows now, not after the others
        return "--resume"
    if differing := differences(out, config):
        if overwrite:
            return "--overwrite"
        raise UsageError(
            f"{out} holds a run of other settings ({'; '.join(differing)}): give another --out, or --overwrite"
        )
    return "" if is_finished(out) else "--resume"


def _run(out: Path, options: list[str]) -> tuple[Path, bool]:
    """One run in a process of its own; its output goes to a file next to its folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [*RUN, *options, "--out", str(out)]
    with Path(f"{out}.txt").open("w", encoding="utf-8") as file:
        code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    print(f"{'done' if code == 0 else 'FAILED'}: {out}", flush=True)
    return out, code == 0
