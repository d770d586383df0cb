"""Run a grid of strategies, seeds and settings; what is finished is skipped, so an interrupted sweep is started again.

python benchmarks/sweep.py --strategy cmc,simclr,moco --seeds 0,1,2
python benchmarks/sweep.py --strategy simclr --seeds 0,1 --grid lr=0.001,0.003 --jobs 2 -- --epochs 2
python benchmarks/report.py runs/sweep/*
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from avalanche_ssl.errors import UsageError


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; status 1 if a run failed, 2 for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--strategy", required=True, metavar="NAMES", help="comma-separated")
    add("--seeds", default="0", metavar="NUMBERS", help="comma-separated (0)")
    add("--grid", action="append", default=[], metavar="KEY=V1,V2", help="values of a setting; repeatable")
    add("--out", type=Path, default=Path("runs/sweep"), metavar="DIR", help="a folder a run inside (runs/sweep)")
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time (1)")
    add("rest", nargs="*", metavar="-- OPTIONS", help="options of run.py for all runs")
    options = parser.parse_args(arguments)
    try:
        jobs = plan(options.strategy, options.seeds, options.grid, options.out)
        if options.jobs < 1:
            raise UsageError(f"--jobs is {options.jobs}: give 1 or more")
    except UsageError as error:
        print("sweep.py:", error, file=sys.stderr)
        return 2
    todo = {out: command for out, command in jobs.items() if not finished(out)}
    print(f"{len(jobs)} runs, {len(jobs) - len(todo)} finished already")
    with ThreadPoolExecutor(options.jobs) as pool:
        failed = [out for out, ok in pool.map(lambda job: _run(*job, options.rest), todo.items()) if not ok]
    for out in failed:
        print(f"failed: {out} (see {out}.txt)")
    print(f"next: python benchmarks/report.py {options.out}/*/")
    return 1 if failed else 0


def plan(strategies: str, seeds: str, grid: list[str], out: Path) -> dict[Path, list[str]]:
    """For each folder the options of its run.

    Raises:
        UsageError: a seed is no number, or a grid has no values.
    """
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
    for strategy, seed, *settings in itertools.product(strategies.split(","), seeds.split(","), *axes):
        name = "-".join([Path(strategy).stem, *(s.replace("/", "_") for s in settings), f"s{seed}"])
        chosen = [word for setting in settings for word in ("--set", setting)]
        jobs[out / name] = ["--strategy", strategy, "--seed", seed, *chosen]
    return jobs


def finished(out: Path) -> bool:
    """Whether the log of a run ends with its end."""
    try:
        lines = (out / "log.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return bool(lines) and lines[-1].startswith('{"event": "end"')


def _run(out: Path, command: list[str], rest: list[str]) -> tuple[Path, bool]:
    """One run in a process of its own; what it says goes beside its folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "avalanche_ssl", "run", *rest, *command, "--out", str(out), "--overwrite"]
    with Path(f"{out}.txt").open("w", encoding="utf-8") as file:
        code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    print(f"{'done' if code == 0 else 'FAILED'}: {out}", flush=True)
    return out, code == 0


if __name__ == "__main__":
    sys.exit(main())
