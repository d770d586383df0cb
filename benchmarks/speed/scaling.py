"""Growth of the cost of a step with the batch, the image, the memory, the views and the length of the stream."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from speed.case import Case
from speed.components import scattered_ids
from speed.timing import in_turn, median_range, now
from speed.training_step import FullStep

from avalanche_ssl.memory import MemoryBank
from avalanche_ssl.streams import online_stream

BATCHES, SIZES, ROWS = (32, 64, 128, 256, 512), (32, 64, 128, 224), (1_000, 10_000, 100_000, 1_000_000)

CROPS, EXPERIENCES, BLOCK = (0, 2, 4, 8), (100, 1_000, 10_000), 100


class Table(NamedTuple):
    """One quantity that grows while everything else stays equal."""

    title: str
    values: tuple[int, ...]
    """The quantity; the cost should grow no faster than in proportion to it."""
    rows: list[tuple[str, Case, dict[str, Any]]]
    """Name, case and settings."""


def growth_tables(case: Case) -> list[Table]:
    """All tables. The size of images is counted in pixels, so that doubling the side counts four times."""
    moco, bank, crops = (case._replace(strategy=s) for s in ("moco", "cmc_bank", "swav_multicrop"))
    return [
        Table("images per batch (moco)", BATCHES, [(f"{n}", moco._replace(batch=n), {}) for n in BATCHES]),
        Table(
            "pixels per image (moco, batch 32)",
            tuple(n * n for n in SIZES),
            [(f"{n}x{n}", moco._replace(batch=32, size=n), {}) for n in SIZES],
        ),
        Table("keys in the queue (moco)", ROWS, [(f"{n:,}", moco, {"queue_size": n}) for n in ROWS]),
        Table("rows in the bank (cmc_bank)", ROWS, [(f"{n:,}", bank, {"capacity": n}) for n in ROWS]),
        Table(
            "views per image (swav_multicrop: two of 32x32 and small ones of 16x16)",
            tuple(2 * 32**2 + n * 16**2 for n in CROPS),
            [(f"2 + {n}", crops, {"small_crops": n}) for n in CROPS],
        ),
    ]


def measure_growth(case: Case, steps: int, rounds: int, longest: int | None = None) -> list[dict[str, Any]]:
    """Measure and print every table; return the figures.

    Args:
        case: encoder, precision, device and clock; also the batch size where that does not grow.
        steps: in each measurement.
        rounds: of measurements, in turn.
        longest: experiences of the longest stream; None for all of `EXPERIENCES`.
    """
    figures = []
    for table in growth_tables(case):
        print(f"\n{table.title:78}{'ms per step':>28}{'growth':>9}{'linear':>9}")
        full_steps = [_with_full_banks(FullStep(c, steps, settings)) for _, c, settings in table.rows]
        taken = in_turn(rounds, *full_steps)
        for (name, *_), value, seconds in zip(table.rows, table.values, taken, strict=True):
            growth, linear = min(seconds) / min(taken[0]), value / table.values[0]
            milliseconds = median_range([1e3 * s for s in seconds], 1)
            print(f"{name:78}{milliseconds:>28}{growth:>9.2f}{linear:>9.2f}")
            figures.append({"table": table.title, "row": name, "seconds": seconds})
    return figures + _stream(case, [n for n in EXPERIENCES if longest is None or n <= longest])


def _with_full_banks(step: FullStep) -> FullStep:
    """The step, its memory banks filled as after many images."""
    for bank in [m for m in step.strategy.model.modules() if isinstance(m, MemoryBank)]:
        rows = torch.randn(4096, *bank.rows.shape[1:], device=bank.rows.device)
        for ids in torch.split(torch.arange(len(bank.ids), device=bank.ids.device), 4096):
            bank.write(scattered_ids(ids), rows[: len(ids)])
    return step


def _stream(case: Case, counts: list[int]) -> list[dict[str, Any]]:
    """Milliseconds per experience of ten images, each trained on once, as the stream gets longer (moco)."""
    longest = max(counts, default=0)
    strategy = case._replace(strategy="moco", batch=10).build({"epochs": 1})
    figures, start = [], 0.0
    print(f"\n{'experiences of 10 images so far (moco)':78}{'ms per experience':>28}")
    stream = online_stream(case.experience(10 * longest), 10) if counts else ()
    for number, experience in enumerate(stream, start=1):
        if number + BLOCK - 1 in counts:
            start = now(case.device, case.clock)
        strategy.train(experience, eval_streams=[])
        if number in counts:
            mean = (now(case.device, case.clock) - start) / BLOCK
            print(f"{f'{number:,} (mean of the last {BLOCK})':78}{1e3 * mean:>28.1f}", flush=True)
            figures.append({"table": "experiences", "row": number, "seconds": [mean]})
    return figures
