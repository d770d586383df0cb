"""Runs in processes of their own: finished ones are skipped, interrupted ones go on, mistakes show before the first."""

from __future__ import annotations

import shlex
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from avalanche_ssl.cli.options import read_options
from avalanche_ssl.cli.run import parser
from avalanche_ssl.errors import UsageError
from avalanche_ssl.runs.folder import check_out, is_finished

RUN = [sys.executable, "-m", "avalanche_ssl", "run"]
"""The command of a run."""


def run_jobs(jobs: Mapping[Path, Sequence[str]], *, overwrite: bool = False, processes: int = 1) -> list[Path]:
    """Run what is not finished; the folders of those that failed.

    Args:
        jobs: the options of each run, by its folder.
        overwrite: replace runs of other settings that are there already.
        processes: at a time.

    Raises:
        UsageError: an option of any of them is wrong, or a run of other settings or something else is in its folder.
    """
    if processes < 1:
        raise UsageError(f"--jobs is {processes}: give 1 or more")
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    todo = {out: [*words, mode] for out, words in jobs.items() if (mode := _mode(out, words, overwrite))}
    print(f"{len(jobs)} runs, {len(jobs) - len(todo)} finished already")
    with ThreadPoolExecutor(processes) as pool:
        failed = [out for out, ok in pool.map(lambda out: _run(out, todo[out]), todo) if not ok]
    for out in failed:
        print(f"failed: {out} (see {out}.txt)")
    return failed


def check_jobs(jobs: Mapping[Path, Sequence[str]], *, overwrite: bool = False) -> None:
    """Find out whether runs can be started or go on, without doing so.

    Raises:
        UsageError: as `run_jobs`.
    """
    for out, words in jobs.items():
        _mode(out, words, overwrite)


def command_of(out: Path, words: Sequence[str]) -> str:
    """The command of a run, as a line for a shell."""
    return shlex.join(["avalanche-ssl", "run", *words, "--out", str(out)])


def _mode(out: Path, words: Sequence[str], overwrite: bool) -> str:
    """The option by which a run is started or goes on; none if it is finished.

    Raises:
        UsageError: an option is wrong, or a run of other settings or something else is there.
    """
    check_out(out, overwrite=True)
    config = read_options(parser().parse_args(words))
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


def _run(out: Path, options: Sequence[str]) -> tuple[Path, bool]:
    """One run in a process of its own; its output goes to a file next to its folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [*RUN, *options, "--out", str(out)]
    with Path(f"{out}.txt").open("w", encoding="utf-8") as file:
        code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    print(f"{'done' if code == 0 else 'FAILED'}: {out}", flush=True)
    return out, code == 0
