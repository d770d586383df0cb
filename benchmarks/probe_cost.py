"""Measure the cost of each probe, once the features are extracted.

python benchmarks/probe_cost.py
python benchmarks/probe_cost.py --images 10000 --probes knn-20 logistic

Random features with class structure, ten experiences of ten classes, the encoder at half of them. Every probe is fitted
in its scopes and scored on the test data; ridge also with 1, 10 and 100 % of the labels together, label subsets in
three draws. Nearest-neighbor probes only store features when fitted; their cost is in scoring. Probes on augmented
features are left out: they cost their feature passes.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, NamedTuple

from avalanche_ssl.cli.command import Parser, command

EXPERIENCES = 10


@command("probe_cost.py")
def main(arguments: list[str] | None = None) -> int:
    """Measure and print the table; exit status 2 for a mistake."""
    parser = Parser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000, help="training images; test images are a fifth (50000)")
    parser.add_argument("--dim", type=int, default=512, help="features per image (512)")
    parser.add_argument("--classes", type=int, default=100, help="classes in ten experiences (100)")
    parser.add_argument("--probes", nargs="*", metavar="NAME", help="which probes (all)")
    parser.add_argument("--repeats", type=int, default=3, help="fits of the ridge probes, the fastest counts (3)")
    _run(parser.parse_args(arguments))
    return 0


def _run(options: argparse.Namespace) -> None:
    import torch

    from avalanche_ssl.probes import PROTOCOLS, get_protocol

    default = [n for n, p in PROTOCOLS.items() if n != "ridge" and not p.augment and not p.online]
    names = [get_protocol(name).name for name in options.probes or default]
    train = synthetic_features(options.images, options.dim, options.classes, seed=1)
    test = synthetic_features(options.images // 5, options.dim, options.classes, seed=2)
    print(
        f"{options.images:,} x {options.dim} features, {options.classes} classes, {options.images // 5:,} test images"
    )
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'probe':28} {'scopes':16}{'fit s':>9}{'cpu s':>9}{'score s':>9}{'all %':>8}")
    for group in [["ridge"], ["ridge", "ridge@10%", "ridge@1%"]]:
        rows = [measure(group, train, test, options.classes) for _ in range(options.repeats)]
        print_row(min(rows, key=lambda row: row.fit_seconds))
    for name in names:
        print_row(measure([name], train, test, options.classes))


def synthetic_features(images: int, dim: int, classes: int, seed: int) -> list[Any]:
    """Features and labels of each experience: Gaussian classes whose centers lie close together."""
    import torch

    centers = torch.randn(classes, dim, generator=torch.Generator().manual_seed(0)) / 5
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(images) % classes
    x = (centers[y] + torch.randn(images, dim, generator=generator)).relu()
    experience = y * EXPERIENCES // classes
    return [(x[experience == j], y[experience == j]) for j in range(EXPERIENCES)]


class Row(NamedTuple):
    """A line of the table; times in seconds."""

    name: str
    scopes: str
    fit_seconds: float
    fit_processor_seconds: float
    score_seconds: float
    accuracy: float
    """Mean over experiences, of the first probe in its widest scope."""


def measure(names: list[str], train: list[Any], test: list[Any], classes: int) -> Row:
    """Fit and score probes, one after the other."""
    from avalanche_ssl.probes import get_protocol, probe_accuracies

    start, busy = time.perf_counter(), time.process_time()
    fitted = [
        (p, p.fit(train, classes, range(EXPERIENCES // 2), seed=draw))
        for p in map(get_protocol, names)
        for draw in range(p.draws)
    ]
    middle, busy = time.perf_counter(), time.process_time() - busy
    accuracies = [probe_accuracies(probes, p.select_test(test)) for p, probes in fitted]
    end = time.perf_counter()
    scopes = fitted[0][0].scopes
    accuracy = float(accuracies[0][scopes[0]].mean())
    return Row(" + ".join(names), ",".join(scopes), middle - start, busy, end - middle, accuracy)


def print_row(row: Row) -> None:
    """Print one line of the table."""
    seconds = f"{row.fit_seconds:>9.2f}{row.fit_processor_seconds:>9.2f}{row.score_seconds:>9.2f}"
    print(f"{row.name:28} {row.scopes:16}{seconds}{100 * row.accuracy:>8.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
