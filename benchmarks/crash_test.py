"""Kill runs with SIGKILL at random moments, resume them, and compare them bit for bit with runs that were not.

python benchmarks/torture.py --kills 3                           # every recipe, fp32 and bf16, with and without replay
python benchmarks/torture.py --strategy moco --workers 0 2 --replay 0 30 --online 0 10
python benchmarks/torture.py --size                              # instead: how large checkpoints are, and how slow

A run is a process of its own that works as run.py does, on a small part of split-digits, with a narrow encoder and
small memories. Of the kills of a run one comes while a probe is fitted, one while a checkpoint is written, and the
others anywhere. Compared are all parameters and memories, the state of the optimiser, every random state, the
accuracy matrix, and log.jsonl apart from its times. Prints one line a run; exit status 1 if any was lost.
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from avalanche_ssl.checkpointing import file_format
from avalanche_ssl.checkpointing.checkpointer import Checkpointer
from avalanche_ssl.checkpointing.file_format import _Hashed
from avalanche_ssl.checks.snapshot import equal
from avalanche_ssl.cli import run
from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.settings import arguments
from avalanche_ssl.streams import BENCHMARKS, split_digits
from avalanche_ssl.streams.benchmark import assemble
from avalanche_ssl.training.strategy import SelfSupervised

IMAGES = 72  # of an experience

SMALL = {"capacity": 100, "queue_size": 40, "count": 16, "dim": 8, "hidden_dim": 8, "clusters": 4, "prototypes": 8}
"""Settings that make memories small enough to be filled and overwritten, where a recipe has them."""

TIMES = ("seconds", "images_per_second", *(f"{n}_seconds" for n in ("train", "checkpoint", "probe", "import", "data")))


class Pictures:
    """Images that are decoded one by one, by loader processes if there are any."""

    def __init__(self, whole: ArrayDataset) -> None:
        self.arrays, self.targets = whole.data, whole.targets

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(self.arrays[index]), self.targets[index]


def few_digits(experiences: int = 2, *, decode: bool = False) -> Any:
    """A few composites of split-digits; with `decode` they take the loader's general path."""
    return _few_digits(experiences, decode)


@cache
def _few_digits(experiences: int, decode: bool) -> Any:
    whole = split_digits(experiences, composites=2)
    rng = np.random.default_rng(0)
    sets, parts = [], []
    for stream, images in ((whole.train_stream, IMAGES), (whole.test_stream, 40)):
        chosen = [rng.permutation(len(e.dataset))[:images] for e in stream]
        items = [e.dataset[int(i)] for e, rows in zip(stream, chosen, strict=True) for i in rows]
        data = np.stack([x.permute(1, 2, 0).numpy() for x, *_ in items])
        arrays = ArrayDataset(data, [int(y) for _, y, *_ in items])
        sets.append(Pictures(arrays) if decode else arrays)
        parts.append(np.split(np.arange(len(items)), experiences))
    return assemble(sets[0], parts[0], sets[1], parts[1], whole.class_names)


def options_of(
    strategy: str, precision: str, workers: int, replay: int, online: int, compile: bool = False
) -> list[str]:
    """Arguments for run.py."""
    recipe = load_recipe(strategy)
    has = arguments(recipe.method)
    given = {name: value for name, value in SMALL.items() if name in has} | {"batch_size": 16, "epochs": 2}
    given |= {"encoder": "tiny"}
    sets = [f"--set={name}={value}" for name, value in given.items()]
    stream = ["--benchmark", "few-digits", "--stream", f"decode={str(workers > 0).lower()}"]
    cut = ["--online", str(online)] if online else []
    fixed = ["--strategy", strategy, "--precision", precision, "--device", "cpu", "--checkpoint-every", "2it"]
    fixed += ["--compile"] if compile else []
    return [*fixed, *stream, *sets, *cut, "--workers", str(workers), "--replay", str(replay)]


def launch(arguments: Sequence[str], place: Path, prepare: Callable[[], None] | None = None) -> int:
    """Start run.py in a new process, which has all modules already; its id. What it says goes to `place`/said."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        os.setpgid(0, 0)
        sys.stdout = sys.stderr = (place / "said").open("w", encoding="utf-8", buffering=1)
        if prepare:
            prepare()
        status = run.main(list(arguments))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def last_words(place: Path) -> str:
    """The end of what the latest process said."""
    return (place / "said").read_text(encoding="utf-8")[-2000:]


def wait(child: int) -> int:
    """Exit status of the process; minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_at(owner: Any, name: str, call: int, after: Callable[..., Any] | None = None) -> None:
    """Make this process kill itself in the given call of a function, counted from 1."""
    original, calls = getattr(owner, name), itertools.count(1)

    def deadly(*given: Any, **named: Any) -> Any:
        if next(calls) == call:
            if after:
                after(original, *given, **named)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*given, **named)

    setattr(owner, name, deadly)


def half(write: Callable[[Any, bytes], Any], sink: Any, data: bytes) -> None:
    """Write half of it."""
    write(sink, data[: len(data) // 2])
    sink.file.flush()


def kills(rng: random.Random, count: int, steps: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Ways to die, by name: inside a probe, inside the writing of a checkpoint, then in any step."""
    yield "probe", partial(die_at, ProbePlugin, "_publish", rng.randint(1, 6))
    spot = rng.choice(["write", "fsync", "replace", "step"])
    if spot == "write":
        yield "write", partial(die_at, _Hashed, "write", rng.randint(3, 60), half)
    elif spot == "fsync":
        yield "fsync", partial(die_at, os, "fsync", rng.randint(3, 8))
    elif spot == "replace":
        yield "replace", partial(die_at, os, "replace", rng.randint(3, 8))
    else:
        yield "step", partial(die_at, SelfSupervised, "_after_update", rng.randint(1, 5))
    for _ in range(count - 2):
        hook = rng.choice(["_after_update", "forward", "_after_training_iteration", "_before_training_iteration"])
        yield hook, partial(die_at, SelfSupervised, hook, rng.randint(1, max(2, steps // count)))


def torture(name: str, arguments: Sequence[str], count: int, seed: int) -> tuple[int, list[str]]:
    """Run to the end once; run again with kills; how many kills there were and what is not the same."""
    rng = random.Random(f"{seed} {name}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        whole, broken = place / "whole", place / "broken"
        start = time.monotonic()
        if status := wait(launch([*arguments, "--out", str(whole)], place)):
            return 0, [f"the run that nobody killed ended with {status}: {last_words(place)}"]
        seconds = time.monotonic() - start
        steps = sum(e["steps"] for e in log_of(whole) if e["event"] == "experience")
        survived = 0
        for kind, prepare in itertools.islice(kills(rng, count, steps), count):
            resumed = ["--resume"] if survived else []
            status = wait(launch([*arguments, *resumed, "--out", str(broken)], place, prepare))
            if status != -signal.SIGKILL:
                return survived, [f"a run to be killed in {kind} ended with {status}: {last_words(place)}"]
            survived += 1
        child = launch([*arguments, "--resume", "--out", str(broken)], place)  # once more from outside, at any time
        time.sleep(rng.uniform(0.1, 0.6) * seconds)
        os.kill(child, signal.SIGKILL)
        survived += wait(child) == -signal.SIGKILL
        if status := wait(launch(["--resume", "--out", str(broken)], place)):
            return survived, [f"the last resume ended with {status}: {last_words(place)}"]
        return survived, differences(whole, broken)


def differences(one: Path, other: Path) -> list[str]:
    """What is not the same in two finished runs."""
    first, second = (file_format.read(path / "checkpoint") for path in (one, other))
    found = compare(first["strategy"], second["strategy"], "")
    if (one / "accuracy.csv").read_bytes() != (other / "accuracy.csv").read_bytes():
        found.append("accuracy.csv")
    if log_of(one) != log_of(other):
        found.append("log.jsonl")
    return found


def compare(a: Any, b: Any, name: str) -> list[str]:
    """Names of the entries that are not the same, bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in sorted(a.keys() | b.keys(), key=str) for d in compare(a.get(k), b.get(k), f"{name}.{k}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in compare(x, y, f"{name}[{i}]")]
    timed = name.rpartition(".")[2] in (*TIMES, "running", "_here_seconds") or ".counts[" in name
    return [] if timed or equal(a, b) else [name]


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Lines of the log without their times, and without what names the folder."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in event.items() if name not in TIMES} for event in events]


LARGE: dict[str, tuple[str, dict[str, Any]]] = {
    "MoCo, ResNet-18, queue of 65,536": ("moco", {"encoder": "resnet18", "queue_size": 65_536}),
    "CMC, small encoder, bank of 1,000,000 rows": ("cmc_bank", {"capacity": 1_000_000}),
}
"""Recipes with the memories of large runs, and their settings."""


def measure(strategy: str, settings: dict[str, Any], writes: int = 3) -> tuple[int, list[float], float]:
    """Bytes of a checkpoint of a strategy that has learnt; seconds that each writing took, and the reading."""
    made = load_recipe(strategy).override(settings | {"batch_size": 16, "epochs": 1}).build()
    stream = few_digits().train_stream
    made.train(stream[0], eval_streams=[])  # so that the optimiser has its state
    with tempfile.TemporaryDirectory() as folder:
        checkpoints, seconds = Checkpointer(Path(folder, "checkpoint"), made, stream), []
        for _ in range(writes):
            start = time.perf_counter()
            checkpoints.save()
            seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        checkpoints.resume()
        return checkpoints.path.stat().st_size, seconds, time.perf_counter() - start


def print_sizes() -> None:
    """A line for each of `LARGE`; the share of the time is that of the median when one is written every ten minutes."""
    for name, (strategy, settings) in LARGE.items():
        size, seconds, read = measure(strategy, settings)
        share = sorted(seconds)[len(seconds) // 2] / 600
        written = ", ".join(f"{s:.2f}" for s in seconds)
        print(f"{name}: {size / 2**20:.0f} MiB, written in {written} s, resumed in {read:.2f} s, {share:.2%} at 10 min")


def prepare_process() -> None:
    """What all runs share: one thread, so that sums have one order, the small streams, and slow imports."""
    for module in ("matplotlib.backends.backend_agg", "matplotlib.figure", "training"):
        import_module(module)
    torch.set_num_threads(1)
    ENCODERS["tiny"] = partial(smallconv, width=4)  # type: ignore[assignment]
    BENCHMARKS["few-digits"] = few_digits
    for decode in (False, True):
        _few_digits(2, decode)
    Checkpointer.__init__.__kwdefaults__["share"] = 1.0  # type: ignore[index]


def main() -> int:
    """Every combination that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--strategy", nargs="*", default=recipe_names(), metavar="NAME", help="(all)")
    add("--precision", nargs="*", default=["fp32", "bf16"])
    add("--workers", nargs="*", type=int, default=[0], help="loader processes; other than 0 also decodes one by one")
    add("--replay", nargs="*", type=int, default=[0, 30], help="images of the replay memory")
    add("--online", nargs="*", type=int, default=[0], help="images of a mini-batch")
    add("--compile", action="store_true", help="encoders by torch.compile")
    add("--kills", type=int, default=3, help="of a run, one more comes from outside")
    add("--seed", type=int, default=0, help="of the moments")
    add("--size", action="store_true", help="kill nothing: size and time of checkpoints with large memories")
    options = parser.parse_args()
    prepare_process()
    if options.size:
        print_sizes()
        return 0
    total = lost = 0
    choices = (options.strategy, options.precision, options.workers, options.replay, options.online)
    for strategy, precision, workers, replay, online in itertools.product(*choices):
        name = f"{strategy:<18} {precision} workers {workers} replay {replay:>3} online {online:>2}"
        start = time.monotonic()
        words = options_of(strategy, precision, workers, replay, online, options.compile)
        survived, wrong = torture(name, words, options.kills, options.seed)
        total += survived
        lost += bool(wrong)
        verdict = f"LOST: {', '.join(wrong[:4])}" if wrong else "the same, bit for bit"
        print(f"{name}  {survived} kills  {verdict}  ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{total} kills survived" if not lost else f"{lost} runs lost of those with {total} kills")
    return bool(lost)


if __name__ == "__main__":
    sys.exit(main())
