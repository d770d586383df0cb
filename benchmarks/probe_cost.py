"""What does each probe cost, once the features are there? `python benchmarks/probe_costs.py`

Random features with class structure, ten experiences of ten classes, the encoder at half of them. Every probe is fitted
in its scopes and scored on the test data; ridge also with 1, 10 and 100 % of the labels together, few labels in three
draws. Nearest neighbours remember and so cost in scoring. Probes that augment are left out: they cost their feature
passes.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

EXPERIENCES = 10


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000, help="of training; a fifth as many of testing (50000)")
    parser.add_argument("--dim", type=int, default=512, help="features an image (512)")
    parser.add_argument("--classes", type=int, default=100, help="in ten experiences (100)")
    parser.add_argument("--probes", nargs="*", metavar="NAME", help="which ones (all)")
    parser.add_argument("--repeats", type=int, default=3, help="of the ridge probes, whose best time counts (3)")
    options = parser.parse_args()

    import torch

    from avalanche_ssl.probes.protocols import PROTOCOLS

    train = data(options.images, options.dim, options.classes, seed=1)
    test = data(options.images // 5, options.dim, options.classes, seed=2)
    print(
        f"{options.images:,} x {options.dim} features, {options.classes} classes, {options.images // 5:,} test images"
    )
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'probe':28} {'scopes':16}{'fit s':>9}{'cpu s':>9}{'score s':>9}{'all %':>8}")
    for names in [["ridge"], ["ridge", "ridge@10%", "ridge@1%"]]:
        show(
            min((measure(names, train, test, options.classes) for _ in range(options.repeats)), key=lambda row: row.fit)
        )
    for name in options.probes or [n for n, p in PROTOCOLS.items() if n != "ridge" and not p.augment and not p.online]:
        show(measure([name], train, test, options.classes))


def data(images: int, dim: int, classes: int, seed: int) -> list[Any]:
    """Features and labels of each experience: Gaussian classes whose centres lie near one another."""
    import torch

    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(0)) / 5
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(images) % classes
    x = (centres[y] + torch.randn(images, dim, generator=generator)).relu()
    group = y * EXPERIENCES // classes
    return [(x[group == j], y[group == j]) for j in range(EXPERIENCES)]


class Row(NamedTuple):
    """A line of the table."""

    fit: float  # seconds
    busy: float  # seconds of processors, while fitting
    score: float  # seconds
    accuracy: float  # mean of the first probe in its widest scope
    scopes: str
    name: str


def measure(names: list[str], train: list[Any], test: list[Any], classes: int) -> Row:
    """Fit and score probes, one after the other."""
    from avalanche_ssl.probes.protocols import get_protocol
    from avalanche_ssl.probes.scopes import probe_accuracies

    start, busy = time.perf_counter(), time.process_time()
    fitted = [
        (p, p.fit(train, classes, EXPERIENCES // 2, seed=draw))
        for p in map(get_protocol, names)
        for draw in range(p.draws)
    ]
    middle, busy = time.perf_counter(), time.process_time() - busy
    rows = [probe_accuracies(probes, p.tested(test)) for p, probes in fitted]
    end = time.perf_counter()
    scopes = fitted[0][0].scopes
    accuracy = float(rows[0][scopes[0]].mean())
    return Row(middle - start, busy, end - middle, accuracy, ",".join(scopes), " + ".join(names))


def show(row: Row) -> None:
    """Print a line."""
    seconds = f"{row.fit:>9.2f}{row.busy:>9.2f}{row.score:>9.2f}"
    print(f"{row.name:28} {row.scopes:16}{seconds}{100 * row.accuracy:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
