"""Measure a whole experiment, ours and the same written by hand with lightly, DataLoaders and scikit-learn, in turn.

python benchmarks/peer_experiment.py
python benchmarks/peer_experiment.py --data path/to/images --experiences 10 --repeat 3

SimCLR over class-incremental experiences of image files: SmallConv, two views without blur, batches of 64, Adam with a
cosine schedule, and a ridge readout of frozen features, all classes, classes seen and single experiences, of the
untrained encoder and after each experience. Ours is `avalanche-ssl run` with all that it does by default: vitals,
checkpoints, log, figures. The peer is `speed/hand_made.py`, which trains and reads out, and does nothing else. Each is
a process of its own, from the start of Python to its end, and both decode the files. Printed are wall time, processor
time (with that of loader processes), and the accuracies, so that one sees that the experiments are the same.

Without `--data`, 10,000 training and 2,500 test files of 32x32 pixels are drawn: digits on photographs, ten classes.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from speed.peers import COMMON

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

HERE = Path(__file__).resolve().parent
SETTINGS = COMMON | {"temperature": 0.5, "batch_size": 64, "lr": 0.003}
"""Settings of our recipe with which it computes what the peer does."""
PICTURES = {"train": 10_000, "test": 2_500}
"""Image files that are drawn."""

Rows = list[dict[str, float]]
"""Accuracies by scope: of the untrained encoder, then after each experience; "seen" is absent from the first."""


class Cost(NamedTuple):
    """What an experiment took, in seconds, and found."""

    wall: float
    processor: float
    rows: Rows


@command("peer_experiment.py")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; exit status 2 for a mistake."""
    options = parser().parse_args(arguments)
    _check(options)
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.data is None:
            options.data = work / "images"
            draw_pictures(options.data, PICTURES)
        sides: dict[str, Callable[[], Cost]] = {
            "ours": lambda: measured(our_command(options, work / "run"), lambda _: our_rows(work / "run")),
            "peer": lambda: measured(peer_command(options), peer_rows),
        }
        if options.only:
            sides = {options.only: sides[options.only]}
        costs: dict[str, list[Cost]] = {name: [] for name in sides}
        for number in range(1, options.repeat + 1):
            for name, side in sides.items():
                costs[name].append(side())
                print(line(f"{name} {number}", costs[name][-1]), flush=True)
    print(summary(costs))
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    found = Parser(description=__doc__)
    add = found.add_argument
    add("--data", type=Path, metavar="DIR", help="train/CLASS/* and test/CLASS/*, 32x32 pixels (drawn if left out)")
    add("--experiences", type=int, default=5, metavar="N", help="(5)")
    add("--epochs", type=int, default=2, metavar="N", help="passes over each experience (2)")
    add("--width", type=int, default=32, metavar="N", help="channels of SmallConv's first convolution (32)")
    add("--repeat", type=int, default=2, metavar="N", help="experiments of each, in turn (2)")
    add("--num-workers", type=int, metavar="N", help="processes of the peer's DataLoaders (one per core)")
    add("--peer-precision", choices=("fp32", "bf16"), default="fp32", help="bf16: the peer under autocast, too (fp32)")
    add("--only", choices=("ours", "peer"), help="measure one of them")
    add("--seed", type=int, default=0, metavar="N", help="(0)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="another setting of ours; repeatable")
    return found


def _check(options: argparse.Namespace) -> None:
    for name in ("experiences", "epochs", "repeat", "width"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name} is {getattr(options, name)}: give 1 or more")
    if options.num_workers is not None and options.num_workers < 0:
        raise UsageError(f"--num-workers is {options.num_workers}: give 0 or more")
    for part in ("train", "test") if options.data else ():
        if not (options.data / part).is_dir():
            raise UsageError(f"no folder '{options.data / part}': the peer reads train/CLASS/* and test/CLASS/*")
    if options.only != "ours" and importlib.util.find_spec("lightly") is None:
        raise UsageError(
            'the peer needs lightly, which is not installed: pip install -e ".[peer]", or measure --only ours'
        )


def draw_pictures(folder: Path, counts: Mapping[str, int], composites: int = 12) -> None:
    """Write PNG files of digits on photographs to `folder/PART/DIGIT/`, `counts[PART]` of each part.

    Raises:
        UsageError: there are not so many with so many composites of a digit.
    """
    from PIL import Image

    from avalanche_ssl.streams import digits_on_photographs

    benchmark = digits_on_photographs(1, composites=composites)
    for part, stream in (("train", benchmark.train_stream), ("test", benchmark.test_stream)):
        dataset = stream[0].dataset
        if counts[part] > len(dataset):
            raise UsageError(f"cannot draw {counts[part]} {part} images, only {len(dataset)}: give fewer, or --data")
        for index in range(counts[part]):
            pixels, label, *_ = dataset[index * len(dataset) // counts[part]]
            place = folder / part / str(int(label))
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(place / f"{index:05}.png")


def our_command(options: argparse.Namespace, out: Path) -> list[str]:
    """The command of ours."""
    words = ["-m", "avalanche_ssl", "run", "--strategy", "simclr", "--benchmark", "folder", "--data", options.data]
    words += ["--benchmark-option", f"experiences={options.experiences}", "--epochs", options.epochs]
    words += ["--seed", options.seed, "--out", out, "--overwrite", "--set", f"encoder.width={options.width}"]
    words += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    words += [word for setting in options.set for word in ("--set", setting)]
    return [sys.executable, *map(str, words)]


def peer_command(options: argparse.Namespace) -> list[str]:
    """The command of the peer."""
    from speed.peers import available_cores

    workers = available_cores() if options.num_workers is None else options.num_workers
    words = [HERE / "speed" / "hand_made.py", options.data, "--experiences", options.experiences]
    words += ["--epochs", options.epochs, "--width", options.width, "--num-workers", workers]
    words += ["--precision", options.peer_precision, "--seed", options.seed]
    words += ["--batch-size", SETTINGS["batch_size"], "--lr", SETTINGS["lr"]]
    return [sys.executable, *map(str, words)]


def measured(words: Sequence[str], rows: Callable[[str], Rows]) -> Cost:
    """What a command costs, with its child processes.

    Args:
        words: the command.
        rows: the accuracies, from what it has printed.

    Raises:
        UsageError: it fails; with the last line that it wrote.
    """
    before, start = _children_seconds(), time.perf_counter()
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    wall, processor = time.perf_counter() - start, _children_seconds() - before
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise UsageError(f"'{' '.join(words[1:4])} ...' failed: {''.join(last)}; run it by itself to see why")
    return Cost(wall, processor, rows(ended.stdout))


def _children_seconds() -> float:
    """Processor time of child processes that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def our_rows(folder: Path) -> Rows:
    """The accuracies in the folder of a run."""
    found: dict[int, dict[str, list[float]]] = {}
    with (folder / "accuracy.csv").open(newline="", encoding="utf-8") as file:
        for entry in csv.DictReader(file):
            row = found.setdefault(int(entry["experiences_trained"]), {})
            row.setdefault(entry["scope"], []).append(float(entry["accuracy"]))
    return [{scope: mean(values) for scope, values in found[trained].items()} for trained in sorted(found)]


def peer_rows(printed: str) -> Rows:
    """The accuracies that the peer has printed."""
    rows: list[dict[str, Any]] = json.loads(printed.strip().splitlines()[-1])
    return [{scope: value for scope, value in row.items() if value is not None} for row in rows]


def line(name: str, cost: Cost) -> str:
    """The text of an experiment."""
    scopes = [f"{scope} {' '.join(percents(cost.rows, scope))}" for scope in ("all", "seen", "task")]
    return f"{name}: wall {cost.wall:.1f} s, processor {cost.processor:.1f} s; {'; '.join(scopes)}"


def percents(rows: Rows, scope: str) -> list[str]:
    """The accuracies of a scope in per cent, in the order of the stream."""
    return [f"{100 * row[scope]:.1f}" for row in rows if scope in row]


def summary(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Ratios of both, experiment by experiment."""
    if len(costs) < 2:
        return ""
    lines = []
    for clock in ("wall", "processor"):
        pairs = zip(costs["peer"], costs["ours"], strict=True)
        found = [getattr(theirs, clock) / getattr(ours, clock) for theirs, ours in pairs]
        lines.append(f"peer / ours, {clock} time: {', '.join(f'{ratio:.2f}' for ratio in found)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
