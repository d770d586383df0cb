"""What reading images from shards costs beside lists of images and a folder of files: memory and processor time.

python benchmarks/shard_cost.py                                    # 200,000 images, three ways
python benchmarks/shard_cost.py --links 10000 --ways shards        # 100,000,000: each shard is a link to the first

Synthetic images of 32x32 (PNG) are written to --folder, as files and as shards, and removed afterwards. Each way reads
--batches batches of an epoch in a process of its own, with one thread: `shards` as a run does, `list` the same shards
as a dataset that lists its images, `files` the folder by a list of paths. `MiB` is how much the memory of the process
grows at most from before the data are opened, `kept` how much its own has grown at the end, without pages of files;
seconds are of the processor. Files are in the page cache.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from memmap_residency import resident_mib

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

WAYS = ("shards", "list", "files")

SIDE = 32
"""Pixels a side."""


def arguments_parser() -> Parser:
    """The options."""
    parser = Parser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000, help="images that are written (200000)")
    parser.add_argument("--images-per-shard", type=int, default=10_000, help="(10000)")
    parser.add_argument("--links", type=int, default=0, help="shards, all links to one, instead of --images (0: none)")
    parser.add_argument("--batches", type=int, default=200, help="batches of 256 that are read (200)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured, in turn (3)")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"which ones ({','.join(WAYS)})")
    parser.add_argument("--folder", type=Path, default=Path("runs/shard-cost"), help="folder for the images")
    return parser


@command("shard_cost.py")
def main(arguments: list[str] | None = None) -> int:
    """Measure and print the table; exit status 2 for a mistake."""
    options = arguments_parser().parse_args(arguments)
    ways = options.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        raise UsageError(f"no way '{unknown.pop()}': choose from {','.join(WAYS)}")
    if options.links and "files" in ways:
        raise UsageError("--links is about shards: give --ways shards or shards,list")
    if options.folder.exists():
        raise UsageError(f"'{options.folder}' is there already: give another --folder, or remove it")
    try:
        seconds, images = prepare(options)
        print(f"{images:,} images; index: {seconds:.4f} CPU s per 1,000 images")
        print(f"{'way':<8}{'MiB':>8}{'kept':>8}{'CPU s / 1,000':>16}")
        for _ in range(options.rounds):
            for way in ways:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    grown, kept, spent = pool.apply(measure, (way, options.folder, options.batches))
                print(f"{way:<8}{grown:>8,.0f}{kept:>8,.0f}{spent:>16.3f}", flush=True)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    return 0


def prepare(options: argparse.Namespace) -> tuple[float, int]:
    """Write the images; processor seconds of the index for 1,000 images, and how many images there are."""
    import numpy as np
    from PIL import Image

    from avalanche_ssl.data import find_index, index_shards, write_shards

    files, shards = options.folder / "files", options.folder / "shards"
    written = options.images_per_shard if options.links else options.images
    rng, paths = np.random.default_rng(0), []
    for number in range(written):
        if number % 1000 == 0:
            (files / f"{number // 1000:05d}").mkdir(parents=True)
        low = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))  # as compressible as photographs
        paths.append(files / f"{number // 1000:05d}" / f"{number:08d}.png")
        low.resize((SIDE, SIDE)).save(paths[-1])
    write_shards(paths, [-1] * written, shards, options.images_per_shard)
    began = time.process_time()
    index_shards(shards)
    seconds = (time.process_time() - began) / written * 1000
    if options.links:
        link(shards, options.links)
    return seconds, int(find_index(shards).starts[-1])


def link(shards: Path, links: int) -> None:
    """Make a folder of very many shards of one, with their index."""
    import json

    from avalanche_ssl.data.shard_index import LIST, ROWS

    found = json.loads((shards / LIST).read_text())
    ((name, *rest),) = found["shards"]
    for number in range(1, links):
        os.link(shards / name, shards / f"{number:06d}.tar")
    found["shards"] = [[f"{number:06d}.tar", *rest] for number in range(links)]
    (shards / LIST).write_text(json.dumps(found))
    rows = (shards / ROWS).read_bytes()
    with (shards / ROWS).open("wb") as file:
        for _ in range(links):
            file.write(rows)


def measure(way: str, folder: Path, batches: int) -> tuple[float, float, float]:
    """MiB by which memory grows at most and at the end, and processor seconds for 1,000 images."""
    import resource

    import torch
    from avalanche.benchmarks.utils import AvalancheDataset
    from torchvision.datasets import ImageFolder

    from avalanche_ssl.data import RawDataLoader
    from avalanche_ssl.streams import shards

    torch.set_num_threads(1)
    import_module("avalanche_ssl.streams.shard_stream")  # what the builder would import, before memory is measured
    own, mapped = resident_mib()
    if way == "files":
        dataset: Any = AvalancheDataset([ImageFolder(folder / "files")])
    else:
        dataset = shards(folder / "shards", size=SIDE).train_stream[0].dataset
    if way == "list":
        dataset = dataset.subset(list(range(len(dataset))))
    loader = RawDataLoader([dataset], [256], shuffle=True, generator=torch.Generator().manual_seed(0))
    images, began = 0, 0.0
    for number, (x, *_) in enumerate(loader):
        if number == 0:  # what comes before the first batch is not reading
            began = time.process_time()
            continue
        images += len(x)
        if number == batches:
            break
    spent = (time.process_time() - began) / images * 1000
    unit = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return peak - own - mapped, resident_mib()[0] - own, spent


if __name__ == "__main__":
    sys.exit(main())
