"""How does the cost of a step grow: with the batch, the image, the memory, the views, the length of a stream?"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from speed.case import Case, experience
from speed.timing import in_turn, now, spread
from speed.training_step import Whole

from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.memory.bank import MemoryBank
from avalanche_ssl.streams import online_stream

BATCHES, SIZES, ROWS = (32, 64, 128, 256, 512), (32, 64, 128, 224), (1_000, 10_000, 100_000, 1_000_000)

CROPS, EXPERIENCES, BLOCK = (0, 2, 4, 8), (100, 1_000, 10_000), 100


class Table(NamedTuple):
    """One quantity that grows, everything else equal."""

    title: str
    values: tuple[int, ...]
    """Of what the cost should at most be in proportion to."""
    rows: list[tuple[str, Case, dict[str, Any]]]
    """Name, case and settings."""


def tables(case: Case) -> list[Table]:
    """The quantities; pictures of an image count for the size, so that a side counts squared."""
    moco, bank, crops = (case._replace(strategy=s) for s in ("moco", "cmc_bank", "swav_multicrop"))
    return [
        Table("images a batch (moco)", BATCHES, [(f"{n}", moco._replace(batch=n), {}) for n in BATCHES]),
        Table(
            "pixels of an image (moco, batch 32)",
            tuple(n * n for n in SIZES),
            [(f"{n}x{n}", moco._replace(batch=32, size=n), {}) for n in SIZES],
        ),
        Table("keys in the queue (moco)", ROWS, [(f"{n:,}", moco, {"queue_size": n}) for n in ROWS]),
        Table("rows in the bank (cmc-bank)", ROWS, [(f"{n:,}", bank, {"capacity": n}) for n in ROWS]),
        Table(
            "pictures of an image (swav-multicrop: two of 32x32 and small ones of 16x16)",
            tuple(2 * 32**2 + n * 16**2 for n in CROPS),
            [(f"2 + {n}", crops, {"small_crops": n}) for n in CROPS],
        ),
    ]


def grow(case: Case, steps: int, rounds: int, most: int | None = None) -> list[dict[str, Any]]:
    """Measure and print every table; the figures.

    Args:
        case: encoder, precision, device and clock; also the batch where that does not grow.
        steps: in each measurement.
        rounds: of measurements, in turn.
        most: experiences of the longest stream; all of `EXPERIENCES` if None.
    """
    found = []
    for table in tables(case):
        print(f"\n{table.title:78}{'ms a step':>28}{'growth':>9}{'linear':>9}")
        wholes = [_filled(Whole(c, steps, settings)) for _, c, settings in table.rows]
        taken = in_turn(rounds, *wholes)
        for (name, *_), value, seconds in zip(table.rows, table.values, taken, strict=True):
            growth = min(seconds) / min(taken[0])
            print(f"{name:78}{spread([1e3 * s for s in seconds], 1):>28}{growth:>9.2f}{value / table.values[0]:>9.2f}")
            found.append({"table": table.title, "row": name, "seconds": seconds})
    return found + _stream(case, [n for n in EXPERIENCES if most is None or n <= most])


def _filled(whole: Whole) -> Whole:
    """With banks that are full, as after many images."""
    for bank in [m for m in whole.strategy.model.modules() if isinstance(m, MemoryBank)]:
        rows = torch.randn(4096, *bank.rows.shape[1:], device=bank.rows.device)
        for ids in torch.arange(len(bank.ids), device=bank.ids.device).split(4096):
            bank.write(ids * -7046029254386353131, rows[: len(ids)])
    return whole


def _stream(case: Case, counts: list[int]) -> list[dict[str, Any]]:
    """Milliseconds of an experience of ten images that are learnt once, as the stream gets longer (moco)."""
    longest = max(counts, default=0)
    strategy = case._replace(strategy="moco", batch=10).build({"epochs": 1})
    images = case.images(10 * longest)
    found, start = [], 0.0
    print(f"\n{'experiences of 10 images so far (moco)':78}{'ms an experience':>28}")
    stream = online_stream(experience(ArrayDataset(images, [0] * len(images))), 10) if counts else ()
    for number, part in enumerate(stream, start=1):
        if number + BLOCK - 1 in counts:
            start = now(case.device, case.clock)
        strategy.train(part, eval_streams=[])
        if number in counts:
            mean = (now(case.device, case.clock) - start) / BLOCK
            print(f"{f'{number:,} (mean of the last {BLOCK})':78}{1e3 * mean:>28.1f}", flush=True)
            found.append({"table": "experiences", "row": number, "seconds": [mean]})
    return found
