"""What does a stream of mini-batches cost beyond its training steps, in time and in memory?

python benchmarks/online_costs.py              # time of an online experience, ours and Avalanche's in turn
python benchmarks/online_costs.py --memory     # instead: resident memory over 1,000 online experiences

Ours is SimCLR as `run.py --strategy simclr --online` trains it, Avalanche's a plain `Naive` strategy with the same
encoder, both on mini-batches of 10 images of split-digits. A bare step is their step on a batch at hand, without a
strategy; what an experience takes longer is the overhead. All are measured in turn, in CPU time of this process (one
thread), which other processes disturb little; given are medians and ranges.
"""

import argparse
import gc
import statistics
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

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.plugins.monitor import RepresentationMonitor
from avalanche_ssl.plugins.probe import ProbePlugin
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.streams import online_stream, split_digits
from avalanche_ssl.training.avalanche_fixes import Replay

IMAGES, REPLAYED, MEMORY = 10, 20, 2000

ENCODERS["narrow"] = partial(smallconv, width=8)

Work = Callable[[int], object]
"""Does so many steps or experiences."""


def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", action="store_true", help="measure memory")
    parser.add_argument("--experiences", type=int, metavar="N", help="of a repetition (50), or in all (1000)")
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
    """The table: a step alone, an online experience, and the difference."""
    stream = split_digits(1, composites=16)
    x, y = (torch.stack(values) for values in zip(*_items(stream, IMAGES + REPLAYED), strict=True))
    cases: dict[str, tuple[Work, Work]] = {
        "Avalanche: Naive": (naive_steps(x[:IMAGES], y[:IMAGES]), naive(stream)),
        "ours: SimCLR": (our_steps(x[:IMAGES]), ours(stream)),
        "Avalanche: Naive, reservoir replay": (naive_steps(x, y), naive(stream, replay())),
        "ours: SimCLR, reservoir replay": (our_steps(x), ours(stream, replay())),
        "ours: SimCLR, probes and vitals": (
            our_steps(x[:IMAGES]),
            ours(stream, ProbePlugin(stream), RepresentationMonitor(stream)),
        ),
    }
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
        columns = [step for step, _ in pairs], [whole for _, whole in pairs], [whole - step for step, whole in pairs]
        print(f"{name:<38}" + "".join(_range(values).rjust(20) for values in columns))
    theirs, us, *_ = ([whole - step for step, whole in pairs] for pairs in found.values())
    print(f"ours beyond Avalanche's own: {_range([b - a for a, b in zip(theirs, us, strict=True)])} ms")


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def milliseconds(work: Work, count: int) -> float:
    """CPU time of one step or experience, mean over `count`."""
    gc.collect()
    start = time.process_time()
    work(count)
    return 1000 * (time.process_time() - start) / count


def _items(benchmark: Any, count: int) -> list[tuple[Tensor, Tensor]]:
    items = (benchmark.train_stream[0].dataset[i] for i in range(count))
    return [(x, torch.tensor(y)) for x, y, *_ in items]


def replay() -> Replay:
    """A fair sample of all that came, of which `REPLAYED` images join a batch."""
    return Replay(MEMORY, batch_size_mem=REPLAYED, storage_policy=ReservoirSamplingBuffer(MEMORY))


def learner(*plugins: Any) -> Any:
    """SimCLR for a stream of mini-batches."""
    recipe = load_recipe("simclr")
    return recipe.override({"batch_size": IMAGES, "encoder": "narrow"} | recipe.online_defaults).build(
        plugins=list(plugins)
    )


def our_steps(x: Tensor) -> Work:
    """SimCLR's steps on the images at hand."""
    strategy = learner()
    model, optimizer = strategy.model.train(), strategy.optimizer

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            outputs = model(x)
            model.loss(outputs).backward()
            optimizer.step()
            model.update(outputs)

    return steps


def ours(benchmark: Any, *plugins: Any) -> Work:
    """SimCLR on our online stream."""
    strategy = learner(*plugins)
    return lambda count: strategy.train(_first(online_stream(benchmark.train_stream, IMAGES), count), eval_streams=[])


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
    """Steps of a classifier on the images at hand."""
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    return steps


def naive_learner(*plugins: Any) -> Any:
    """Avalanche's plain strategy."""
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    silent = EvaluationPlugin()
    return Naive(model=model, optimizer=optimizer, train_mb_size=IMAGES, plugins=list(plugins), evaluator=silent)


def naive(benchmark: Any, *plugins: Any) -> Work:
    """It on Avalanche's online stream."""
    strategy = naive_learner(*plugins)
    return lambda count: strategy.train(
        _first(split_online_stream(benchmark.train_stream, IMAGES), count), eval_streams=[]
    )


def _first(stream: Iterable[Any], count: int) -> Iterable[Any]:
    return islice(iter(stream), count)


def print_memory(experiences: int) -> None:
    """Resident memory at ten points of a stream: of our strategy with all of run.py's plugins, then of Avalanche's."""
    stream = split_digits(1, composites=16)
    print("resident memory, MiB, after so many online experiences; growth over the last four fifths")
    points = [experiences * k // 10 for k in range(1, 11)]
    print(" " * 20 + "".join(f"{point:>8}" for point in points) + "growth".rjust(10))
    for name, strategy, parts in (
        (
            "ours",
            learner(replay(), ProbePlugin(stream), RepresentationMonitor(stream)),
            online_stream(stream.train_stream, IMAGES),
        ),
        ("Avalanche", naive_learner(replay()), split_online_stream(stream.train_stream, IMAGES)),
    ):
        sizes: list[float] = []
        strategy.train(_watched(parts, points, sizes), eval_streams=[])
        print(f"{name:<20}" + "".join(f"{size:>8.1f}" for size in sizes) + f"{sizes[-1] - sizes[1]:>+10.1f}")


def _watched(parts: Iterable[Any], points: list[int], sizes: list[float]) -> Iterable[Any]:
    """The experiences; at the points, before the next one is made, the memory is noted."""
    for number, part in enumerate(parts):
        if number in points:
            gc.collect()
            sizes.append(resident())
        if len(sizes) == len(points):
            return
        yield part


def resident() -> float:
    """Resident memory of this process in MiB.

    Raises:
        UsageError: this system has no /proc.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        raise UsageError("resident memory is read from /proc, which this system has not: run it on Linux") from None
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
