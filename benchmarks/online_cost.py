"""Measure what a stream of mini-batches costs beyond its training steps, in time and in memory.

python benchmarks/online_cost.py              # time of an online experience, ours and Avalanche's in turn
python benchmarks/online_cost.py --memory     # instead: resident memory over 1,000 online experiences

Ours is SimCLR as `run.py --strategy simclr --online-batch-size 10` trains it, Avalanche's a plain `Naive` strategy with
the same encoder, both on mini-batches of 10 images of digits-on-photographs. A bare step is their step on a ready
batch, without a strategy; the rest of the time of an experience is overhead. All are measured in turn, in CPU time of
this process (one thread), which other processes disturb little; printed are medians and ranges.
"""

import gc
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import split_online_stream
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.storage_policy import ReservoirSamplingBuffer
from avalanche.training.supervised import Naive
from torch import Tensor, nn

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import ENCODERS, smallconv
from avalanche_ssl.plugins import ProbePlugin, RepresentationMonitor
from avalanche_ssl.recipes import load_recipe
from avalanche_ssl.streams import digits_on_photographs, online_stream
from avalanche_ssl.training import AvalancheReplay

IMAGES, REPLAYED, MEMORY = 10, 20, 2000

Work = Callable[[int], object]
"""A function that does the given number of steps or experiences."""


@command("online_cost.py")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; exit status 2 for a mistake."""
    parser = Parser(description=__doc__)
    parser.add_argument("--memory", action="store_true", help="measure memory")
    parser.add_argument("--experiences", type=int, metavar="N", help="per repetition (50), or in total (1000)")
    parser.add_argument("--repeat", type=int, default=15, metavar="N", help="repetitions, in turn (15)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if options.memory:
        print_memory(options.experiences or 1000)
    else:
        print_times(options.repeat, options.experiences or 50)
    return 0


def print_times(repeat: int, count: int) -> None:
    """Print the table of times: the bare step, the online experience, and the difference."""
    cases = _cases()
    for step, experience in cases.values():  # warm up, and fill the memories
        step(20)
        experience(MEMORY // IMAGES)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(repeat):
        for name, (step, experience) in cases.items():
            found[name].append((milliseconds(step, count), milliseconds(experience, count)))
    print(f"CPU milliseconds of an online experience of {IMAGES} images; median (min-max) of {repeat}")
    print(" " * 38 + "".join(title.rjust(20) for title in ("bare step", "experience", "overhead")))
    for name, pairs in found.items():
        columns = [step for step, _ in pairs], [total for _, total in pairs], _overhead(pairs)
        print(f"{name:<38}" + "".join(_median_range(values).rjust(20) for values in columns))
    theirs, ours, *_ = (_overhead(pairs) for pairs in found.values())
    print(f"ours beyond Avalanche's own: {_median_range([b - a for a, b in zip(theirs, ours, strict=True)])} ms")


def _cases() -> dict[str, tuple[Work, Work]]:
    """Bare steps and online experiences by name."""
    benchmark = digits_on_photographs(1, composites=16)
    x, y = _first_images(benchmark, IMAGES + REPLAYED)
    return {
        "Avalanche: Naive": (naive_steps(x[:IMAGES], y[:IMAGES]), naive_experiences(benchmark)),
        "ours: SimCLR": (simclr_steps(x[:IMAGES]), simclr_experiences(benchmark)),
        "Avalanche: Naive, reservoir replay": (naive_steps(x, y), naive_experiences(benchmark, replay())),
        "ours: SimCLR, reservoir replay": (simclr_steps(x), simclr_experiences(benchmark, replay())),
        "ours: SimCLR, probes and monitor": (
            simclr_steps(x[:IMAGES]),
            simclr_experiences(benchmark, ProbePlugin(benchmark), RepresentationMonitor(benchmark)),
        ),
    }


def _overhead(pairs: list[tuple[float, float]]) -> list[float]:
    return [total - step for step, total in pairs]


def _median_range(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def milliseconds(work: Work, count: int) -> float:
    """CPU time of one step or experience, mean over `count`."""
    gc.collect()
    start = time.process_time()
    work(count)
    return 1000 * (time.process_time() - start) / count


def _first_images(benchmark: Any, count: int) -> tuple[Tensor, Tensor]:
    """Images (count, C, H, W) and labels (count,)."""
    items = [benchmark.train_stream[0].dataset[i] for i in range(count)]
    return torch.stack([x for x, *_ in items]), torch.stack([torch.tensor(y) for _, y, *_ in items])


def replay() -> AvalancheReplay:
    """A reservoir of the images so far, of which `REPLAYED` join each mini-batch."""
    return AvalancheReplay(MEMORY, batch_size_mem=REPLAYED, storage_policy=ReservoirSamplingBuffer(MEMORY))


def simclr(*plugins: Any) -> Any:
    """SimCLR for a stream of mini-batches."""
    ENCODERS["narrow"] = partial(smallconv, width=8)  # recipes know encoders by name
    recipe = load_recipe("simclr")
    settings = {"batch_size": IMAGES, "encoder": "narrow"} | recipe.online_defaults
    return recipe.override(settings).build(plugins=list(plugins))


def simclr_steps(x: Tensor) -> Work:
    """SimCLR's steps on ready images."""
    strategy = simclr()
    model, optimizer = strategy.model.train(), strategy.optimizer

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            outputs = model(x)
            model.loss(outputs).backward()
            optimizer.step()
            model.update(outputs)

    return steps


def simclr_experiences(benchmark: Any, *plugins: Any) -> Work:
    """SimCLR on our online stream."""
    strategy = simclr(*plugins)

    def experiences(count: int) -> None:
        strategy.train(islice(online_stream(benchmark.train_stream, IMAGES), count), eval_streams=[])

    return experiences


class Classifier(nn.Module):
    """The same encoder for Avalanche: raw images in, logits out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = smallconv(width=8)
        self.head = nn.Linear(self.encoder.out_features, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 10)."""
        logits: Tensor = self.head(self.encoder(x.float() / 255))
        return logits


def naive_steps(x: Tensor, y: Tensor) -> Work:
    """Steps of a classifier on ready images."""
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return steps


def naive(*plugins: Any) -> Any:
    """Avalanche's plain strategy."""
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    silent = EvaluationPlugin()
    return Naive(model=model, optimizer=optimizer, train_mb_size=IMAGES, plugins=list(plugins), evaluator=silent)


def naive_experiences(benchmark: Any, *plugins: Any) -> Work:
    """Avalanche's plain strategy on its own online stream."""
    strategy = naive(*plugins)

    def experiences(count: int) -> None:
        strategy.train(islice(iter(split_online_stream(benchmark.train_stream, IMAGES)), count), eval_streams=[])

    return experiences


def print_memory(experiences: int) -> None:
    """Print resident memory ten times along a stream: ours with all plugins of a run, then Avalanche's."""
    benchmark = digits_on_photographs(1, composites=16)
    print("resident memory, MiB, after so many online experiences; growth over the last four fifths")
    counts = [experiences * k // 10 for k in range(1, 11)]
    print(" " * 20 + "".join(f"{count:>8}" for count in counts) + "growth".rjust(10))
    plugins = replay(), ProbePlugin(benchmark), RepresentationMonitor(benchmark)
    for name, strategy, stream in (
        ("ours", simclr(*plugins), online_stream(benchmark.train_stream, IMAGES)),
        ("Avalanche", naive(replay()), split_online_stream(benchmark.train_stream, IMAGES)),
    ):
        sizes: list[float] = []
        strategy.train(_measured(stream, counts, sizes), eval_streams=[])
        print(f"{name:<20}" + "".join(f"{size:>8.1f}" for size in sizes) + f"{sizes[-1] - sizes[1]:>+10.1f}")


def _measured(stream: Iterable[Any], counts: list[int], sizes: list[float]) -> Iterable[Any]:
    """The experiences; at each of `counts`, before the next experience is made, the memory is added to `sizes`."""
    for number, experience in enumerate(stream):
        if number in counts:
            gc.collect()
            sizes.append(resident_mib())
        if len(sizes) == len(counts):
            return
        yield experience


def resident_mib() -> float:
    """Resident memory of this process in MiB.

    Raises:
        UsageError: this system has no /proc.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        raise UsageError("resident memory is read from /proc, which this system does not have: use Linux") from None
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    sys.exit(main())
