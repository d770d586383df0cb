"""How fast are the parts of a step by themselves? Views against torchvision's, and the memories."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from speed.machine import machine, versions
from speed.timing import seconds, show

BATCH, REPEATS = 256, 7

DIM, NEGATIVES, SIZES = 128, 4096, (1_000, 10_000, 100_000, 1_000_000)


def augment(device: str = "cpu") -> None:
    """Two SimCLR views of 32x32 images on one thread, image by image with PIL and batched; then each operation.

    Freed memory stays with the process, as in training. On a GPU the batches lie there, and PIL works on the host.
    """
    import torch

    from avalanche_ssl.training.malloc import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    raw = smooth_images(BATCH)
    per_image, batched = pil_pipeline(raw), batched_pipeline(raw.to(device))
    interleaved = [(seconds(per_image), seconds(batched, device)) for _ in range(REPEATS)]
    pil, ours = ([1e6 * pair[side] / BATCH for pair in interleaved] for side in (0, 1))
    print(f"two SimCLR views of a 32x32 image, batch {BATCH}, {REPEATS} alternating repetitions; {machine(device)}")
    print(versions())
    print(f"{'':32}{'median':>9}{'min':>9}{'max':>9}")
    show("torchvision on PIL, us/image", pil)
    show("avalanche_ssl, us/image", ours)
    show("times faster", [slow / fast for slow, fast in zip(pil, ours, strict=True)])
    print(f"\n{'one operation, us/image':32}{'median':>9}{'min':>9}{'max':>9}")
    for name, operation in operations(raw.to(device)).items():
        show(name, [1e6 * seconds(operation, device) / BATCH for _ in range(REPEATS)])


def smooth_images(count: int) -> Any:
    """Photograph-like images (count, 3, 32, 32) uint8: smooth colours with a little noise."""
    import torch
    from torch.nn.functional import interpolate

    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    smooth = interpolate(coarse, (32, 32), mode="bilinear")
    noise = torch.randn(count, 3, 32, 32, generator=generator)
    return (255 * smooth + 5 * noise).clamp(0, 255).to(torch.uint8)


def pil_pipeline(raw: Any) -> Callable[[], object]:
    """Two views of each image by torchvision's PIL transforms, stacked into batches; decoding is not counted."""
    import torch
    from speed.peers import pil_view
    from torchvision.transforms.functional import to_pil_image

    view, images = pil_view(32), [to_pil_image(image) for image in raw]
    return lambda: [torch.stack([view(image) for image in images]) for _ in range(2)]


def batched_pipeline(raw: Any) -> Callable[[], object]:
    """The same two views by `RandomView`, whose defaults are these settings."""
    import torch

    from avalanche_ssl.transforms.augmentation import RandomView

    view, generator = RandomView(), torch.Generator().manual_seed(0)
    return lambda: [view(raw, generator) for _ in range(2)]


def operations(raw: Any) -> dict[str, Callable[[], object]]:
    """Every operation on the whole batch, on the CPU in blocks, as `RandomView` works there."""
    import torch

    from avalanche_ssl.rng import uniform
    from avalanche_ssl.transforms.augmentation import BLOCK, RandomView
    from avalanche_ssl.transforms.color import (
        brightness,
        contrast,
        grayscale,
        hue,
        lab_views,
        normalize,
        saturation,
        solarize,
        to_float,
    )
    from avalanche_ssl.transforms.geometry import gaussian_blur, random_boxes, resized_crop

    block = BLOCK // (3 * 32 * 32) if raw.device.type == "cpu" else BATCH
    x, generator = to_float(raw), torch.Generator().manual_seed(0)
    factor = uniform((BATCH,), 0.6, 1.4, generator, raw.device)
    boxes = random_boxes(BATCH, 32, 32, (0.2, 1.0), (3 / 4, 4 / 3), generator, raw.device)

    def blocks(operation: Callable[..., object], *parameters: Any) -> Callable[[], object]:
        pieces = list(zip(*(values.split(block) for values in (x, *parameters)), strict=True))
        return lambda: [operation(*piece) for piece in pieces]

    return {
        "draw all parameters": lambda: RandomView().sample_params(raw, generator),
        "to_float": lambda: [to_float(part) for part in raw.split(block)],
        "resized_crop bilinear": blocks(partial(resized_crop, size=32), *boxes),
        "resized_crop bicubic": blocks(partial(resized_crop, size=32, interpolation="bicubic"), *boxes),
        "brightness": blocks(brightness, factor),
        "contrast": blocks(contrast, factor),
        "saturation": blocks(saturation, factor),
        "hue": blocks(hue, factor - 1),
        "grayscale": blocks(grayscale),
        "solarize": blocks(solarize),
        "gaussian_blur, kernel 3": blocks(partial(gaussian_blur, kernel=3), factor),
        "normalize": blocks(partial(normalize, mean=0.5, std=0.25)),
        "lab_views": blocks(lab_views),
    }


def memory() -> None:
    """Microseconds to write and to read a batch, for a full queue and a full bank of each size, on one thread."""
    import torch

    torch.set_num_threads(1)
    print(f"batch {BATCH}, dim {DIM}, {NEGATIVES} negatives, one thread, {REPEATS} repetitions")
    print(versions())
    table: dict[str, str] = {}
    for size in SIZES:
        for name, operation in memory_operations(size).items():
            times = [1e6 * seconds(operation) for _ in range(REPEATS)]
            cell = f"{statistics.median(times):,.0f} ({min(times):,.0f}-{max(times):,.0f})"
            table[name] = table.get(name, f"{name:32}") + f"{cell:>24}"
    print(f"{'us/batch, median (min-max)':32}" + "".join(f"{f'{size:,} rows':>24}" for size in SIZES))
    print("\n".join(table.values()))


def memory_operations(size: int) -> dict[str, Callable[[], object]]:
    """What a step does to a full memory of `size` rows, at other rows each time, as in training."""
    import torch

    from avalanche_ssl.functional import unit
    from avalanche_ssl.memory.bank import MemoryBank
    from avalanche_ssl.memory.queue import Queue

    generator = torch.Generator().manual_seed(0)
    rows = unit(torch.randn(BATCH, DIM, generator=generator))
    queue, bank = Queue(size, DIM), MemoryBank(size, DIM)
    for ids in torch.arange(size).split(4096):  # an id stands for an image; neighbours fall into different buckets
        bank.write(_scattered(ids), rows[ids % BATCH])
    newborn = iter(range(size, 2**62, BATCH))

    def some() -> Any:
        return _scattered(torch.randint(int(bank.n_written) - size, int(bank.n_written), (BATCH,), generator=generator))

    def negatives() -> object:
        slots, valid = bank.negatives(some(), NEGATIVES, generator)
        return bank.rows[slots], valid

    return {
        "queue: push": lambda: queue.enqueue(rows),
        "bank: write images it knows": lambda: bank.write(some(), rows),
        "bank: write new images": lambda: bank.write(_scattered(torch.arange(BATCH) + next(newborn)), rows),
        "bank: find and read": lambda: bank.read(some(), rows),
        "bank: draw and read negatives": negatives,
    }


def _scattered(numbers: Any) -> Any:
    """Ids as random as those of images: the numbers times an odd one, wrapping at 2^64."""
    return numbers * -7046029254386353131
