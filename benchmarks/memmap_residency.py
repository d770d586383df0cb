"""Does memory stay flat while a method learns from an array on disk? `python benchmarks/larger_than_memory.py`

A million synthetic images of 32x32 (3 GB, written to --folder and removed afterwards) are learnt once, in shuffled
order, by a method with a memory bank that holds fewer. `own` is memory that the process cannot give back; `mapped` are
pages of the file (and of libraries), which the system takes away again whenever something else needs the room.
"""

from __future__ import annotations

import argparse
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

BLOCK = 10_000  # images that are drawn at a time


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000, help="in the array (1000000)")
    parser.add_argument("--size", type=int, default=32, help="pixels a side (32)")
    parser.add_argument("--parts", type=int, default=10, help="experiences, a line each (10)")
    parser.add_argument("--folder", type=Path, default=Path("runs/larger-than-memory"), help="for the array")
    parser.add_argument("--strategy", default="cmc_bank", help="a recipe with a bank (cmc-bank)")
    parser.add_argument("--width", type=int, default=32, help="of smallconv (32)")
    parser.add_argument("--batch", type=int, default=256, help="images a step (256)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / "images.npy"
    need = options.images * options.size**2 * 3
    if shutil.disk_usage(options.folder).free < 1.1 * need:
        parser.error(
            f"the array needs {need / 2**30:.1f} GiB in {options.folder}: give another --folder or fewer --images"
        )
    try:
        write(path, options.images, options.size)
        learn(path, options)
    finally:
        path.unlink(missing_ok=True)


def write(path: Path, images: int, size: int) -> None:
    """Noise, with which no two images are alike."""
    import numpy as np
    from tqdm import tqdm

    array = np.lib.format.open_memmap(path, "w+", np.uint8, (images, size, size, 3))
    rng = np.random.default_rng(0)
    for first in tqdm(range(0, images, BLOCK), desc="write", unit="block", leave=False):
        block = array[first : first + BLOCK]
        block[:] = rng.integers(0, 256, block.shape, np.uint8)
    array.flush()


def learn(path: Path, options: Any) -> None:
    """A single pass, in equal parts."""
    import numpy as np
    import torch

    from avalanche_ssl.data.datasets import MappedDataset
    from avalanche_ssl.memory.bank import MemoryBank
    from avalanche_ssl.models.encoders import ENCODERS
    from avalanche_ssl.models.smallconv import smallconv
    from avalanche_ssl.recipes.loading import load_recipe
    from avalanche_ssl.streams.benchmark import assemble

    ENCODERS["smallconv"] = partial(smallconv, width=options.width)
    dataset = MappedDataset(path, np.zeros(options.images, int).tolist())
    order = np.random.default_rng(0).permutation(options.images)
    stream = assemble(dataset, np.array_split(order, options.parts), None, [], None).train_stream
    recipe = load_recipe(options.strategy)
    strategy = recipe.override({"encoder": "smallconv", "batch_size": options.batch, "epochs": 1}).build()
    banks = [module for module in strategy.model.modules() if isinstance(module, MemoryBank)]
    print(
        f"{options.strategy}, smallconv of width {options.width}, batch {options.batch}, {options.images:,} images of "
        f"{options.size}x{options.size}: {dataset.data.nbytes / 2**20:,.0f} MiB; {torch.get_num_threads()} threads"
    )
    print(f"{'images':>10}{'images/s':>10}{'own MiB':>10}{'mapped MiB':>12}{'bank rows':>12}{'of':>9}")
    tell(0, float("nan"), banks)
    for number, experience in enumerate(stream, 1):
        start = time.perf_counter()
        strategy.train(experience, eval_streams=[])
        tell(number * options.images // options.parts, len(experience.dataset) / (time.perf_counter() - start), banks)


def tell(images: int, rate: float, banks: list[Any]) -> None:
    """A line of the table."""
    own, mapped = resident()
    rows = sum(min(int(bank.n_written), len(bank.rows)) for bank in banks)
    capacity = sum(len(bank.rows) for bank in banks)
    print(f"{images:>10,}{rate:>10,.0f}{own:>10,.0f}{mapped:>12,.0f}{rows:>12,}{capacity:>9,}", flush=True)


def resident() -> tuple[float, float]:
    """MiB of this process in memory: its own, and pages of files (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    own, mapped = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    return own, mapped


if __name__ == "__main__":
    main()
