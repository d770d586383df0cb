"""Show that memory stays flat while a method trains on an array on disk, which need not fit into memory.

python benchmarks/memmap_residency.py
python benchmarks/memmap_residency.py --images 100000 --width 8

A million synthetic images of 32x32 (3 GB, written to --folder and removed afterwards) are trained on once, in shuffled
order, by a method whose memory bank holds fewer. `own` is memory that the process cannot give back; `mapped` are pages
of the file (and of libraries), which the system reclaims whenever something else needs the room.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

BLOCK = 10_000
"""Images that are drawn at a time."""


@command("memmap_residency.py")
def main(arguments: list[str] | None = None) -> int:
    """Measure and print the table; exit status 2 for a mistake."""
    parser = Parser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000, help="images in the array (1000000)")
    parser.add_argument("--size", type=int, default=32, help="side of the images in pixels (32)")
    parser.add_argument("--parts", type=int, default=10, help="experiences, one line each (10)")
    parser.add_argument("--folder", type=Path, default=Path("runs/memmap-residency"), help="folder for the array")
    parser.add_argument("--strategy", default="cmc_bank", help="a recipe with a memory bank (cmc_bank)")
    parser.add_argument("--width", type=int, default=32, help="width of smallconv (32)")
    parser.add_argument("--batch-size", type=int, default=256, help="images per step (256)")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "images.npy"
    need = options.images * options.size**2 * 3
    if shutil.disk_usage(options.folder).free < 1.1 * need:
        raise UsageError(
            f"the array needs {need / 2**30:.1f} GiB in {options.folder}: give another --folder or fewer --images"
        )
    try:
        write_noise(path, options.images, options.size)
        train(path, options)
    finally:
        path.unlink(missing_ok=True)
    return 0


def write_noise(path: Path, images: int, size: int) -> None:
    """Write an array of noise, in which no two images are alike."""
    import numpy as np
    from tqdm import tqdm

    array = np.lib.format.open_memmap(path, "w+", np.uint8, (images, size, size, 3))
    rng = np.random.default_rng(0)
    for first in tqdm(range(0, images, BLOCK), desc="write", unit="block", leave=False):
        block = array[first : first + BLOCK]
        block[:] = rng.integers(0, 256, block.shape, np.uint8)
    array.flush()


def train(path: Path, options: argparse.Namespace) -> None:
    """Train on the array once, in equal parts, and print one line after each."""
    import numpy as np
    import torch

    from avalanche_ssl.data import MappedDataset
    from avalanche_ssl.memory import MemoryBank
    from avalanche_ssl.models import ENCODERS, smallconv
    from avalanche_ssl.recipes import load_recipe
    from avalanche_ssl.streams import benchmark_from_parts

    ENCODERS["smallconv"] = partial(smallconv, width=options.width)
    dataset = MappedDataset(path, np.zeros(options.images, int).tolist())
    order = np.random.default_rng(0).permutation(options.images)
    stream = benchmark_from_parts(dataset, np.array_split(order, options.parts), None, [], None).train_stream
    recipe = load_recipe(options.strategy)
    strategy = recipe.override({"encoder": "smallconv", "batch_size": options.batch_size, "epochs": 1}).build()
    banks = [module for module in strategy.model.modules() if isinstance(module, MemoryBank)]
    what = f"{options.images:,} images of {options.size}x{options.size}: {dataset.data.nbytes / 2**20:,.0f} MiB"
    threads = f"{torch.get_num_threads()} threads"
    print(f"{options.strategy}, smallconv of width {options.width}, batch {options.batch_size}, {what}; {threads}")
    print(f"{'images':>10}{'images/s':>10}{'own MiB':>10}{'mapped MiB':>12}{'bank rows':>12}{'of':>9}")
    print_line(0, float("nan"), banks)
    for number, experience in enumerate(stream, 1):
        start = time.perf_counter()
        strategy.train(experience, eval_streams=[])
        rate = len(experience.dataset) / (time.perf_counter() - start)
        print_line(number * options.images // options.parts, rate, banks)


def print_line(images: int, rate: float, banks: list[Any]) -> None:
    """Print one line of the table."""
    own, mapped = resident_mib()
    rows = sum(min(int(bank.n_written), len(bank.rows)) for bank in banks)
    capacity = sum(len(bank.rows) for bank in banks)
    print(f"{images:>10,}{rate:>10,.0f}{own:>10,.0f}{mapped:>12,.0f}{rows:>12,}{capacity:>9,}", flush=True)


def resident_mib() -> tuple[float, float]:
    """Resident memory of this process in MiB: its own, and pages of files (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    own, mapped = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    return own, mapped


if __name__ == "__main__":
    sys.exit(main())
