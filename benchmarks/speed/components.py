"""Speed of the parts of a step: views against torchvision's PIL pipeline, and the memories."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

from speed.machine import describe_machine, versions
from speed.timing import seconds_per_call

BATCH, REPEATS = 256, 7

DIM, NEGATIVES, SIZES = 128, 4096, (1_000, 10_000, 100_000, 1_000_000)

IMAGES, NEW, REPLAYED = 2_000, 10, 20
"""Of a memory of images: how many it holds, and of a step."""


def measure_augmentation(device: str = "cpu") -> None:
    """Print the time of two SimCLR views of 32x32 images on one thread, with PIL and batched; then of each operation.

    Freed memory stays in the process, as in training. On a GPU the batches lie there, and PIL works on the host.
    """
    import torch

    from avalanche_ssl.training import keep_freed_memory

    torch.set_num_threads(1)
    keep_freed_memory()
    raw = smooth_images(BATCH)
    per_image, batched = pil_pipeline(raw), batched_pipeline(raw.to(device))
    in_turn = [(seconds_per_call(per_image), seconds_per_call(batched, device)) for _ in range(REPEATS)]
    pil, ours = ([1e6 * pair[side] / BATCH for pair in in_turn] for side in (0, 1))
    print(
        f"two SimCLR views of a 32x32 image, batch {BATCH}, {REPEATS} repetitions in turn; {describe_machine(device)}"
    )
    print(versions())
    print(f"{'':32}{'median':>9}{'min':>9}{'max':>9}")
    _print_row("torchvision on PIL, us/image", pil)
    _print_row("avalanche_ssl, us/image", ours)
    _print_row("times faster", [slow / fast for slow, fast in zip(pil, ours, strict=True)])
    print(f"\n{'one operation, us/image':32}{'median':>9}{'min':>9}{'max':>9}")
    for name, operation in operations(raw.to(device)).items():
        _print_row(name, [1e6 * seconds_per_call(operation, device) / BATCH for _ in range(REPEATS)])


def _print_row(name: str, values: list[float]) -> None:
    print(f"{name:32}{statistics.median(values):9.1f}{min(values):9.1f}{max(values):9.1f}")


def smooth_images(count: int) -> Any:
    """Photograph-like images (count, 3, 32, 32) uint8: smooth colors with a little noise."""
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

    from avalanche_ssl.transforms import RandomView

    view, generator = RandomView(), torch.Generator().manual_seed(0)
    return lambda: [view(raw, generator) for _ in range(2)]


def operations(raw: Any) -> dict[str, Callable[[], object]]:
    """Every operation on the full batch by name; on the CPU in blocks, as `RandomView` works there."""
    import torch

    from avalanche_ssl.rng import uniform
    from avalanche_ssl.transforms import RandomView, color, gaussian_blur, resized_crop
    from avalanche_ssl.transforms.augmentation import BLOCK
    from avalanche_ssl.transforms.geometry import random_boxes

    block = BLOCK // (3 * 32 * 32) if raw.device.type == "cpu" else BATCH
    x, generator = color.to_float(raw), torch.Generator().manual_seed(0)
    factor = uniform((BATCH,), 0.6, 1.4, generator, raw.device)
    boxes = random_boxes(BATCH, 32, 32, (0.2, 1.0), (3 / 4, 4 / 3), generator, raw.device)

    def blocks(operation: Callable[..., object], *parameters: Any) -> Callable[[], object]:
        pieces = list(zip(*(torch.split(values, block) for values in (x, *parameters)), strict=True))
        return lambda: [operation(*piece) for piece in pieces]

    return {
        "draw all parameters": lambda: RandomView().sample_params(raw, generator),
        "to_float": lambda: [color.to_float(part) for part in raw.split(block)],
        "resized_crop bilinear": blocks(partial(resized_crop, size=32), *boxes),
        "resized_crop bicubic": blocks(partial(resized_crop, size=32, interpolation="bicubic"), *boxes),
        "brightness": blocks(color.brightness, factor),
        "contrast": blocks(color.contrast, factor),
        "saturation": blocks(color.saturation, factor),
        "hue": blocks(color.hue, factor - 1),
        "grayscale": blocks(color.grayscale),
        "solarize": blocks(color.solarize),
        "gaussian_blur, kernel 3": blocks(partial(gaussian_blur, kernel=3), factor),
        "normalize": blocks(partial(color.normalize, mean=0.5, std=0.25)),
        "lab_views": blocks(color.lab_views),
    }


def measure_memory(clock: str = "wall") -> None:
    """Print microseconds to write and to read a batch, for a full queue and a full bank of each size, on one thread.

    Then those of a step of replay, for a memory of images by each policy.

    Args:
        clock: "wall" or "processor", see `now`.
    """
    import torch

    torch.set_num_threads(1)
    print(f"batch {BATCH}, dim {DIM}, {NEGATIVES} negatives, one thread, {REPEATS} repetitions, {clock} time")
    print(versions())
    table: dict[str, str] = {}
    for size in SIZES:
        for name, operation in memory_operations(size).items():
            times = [1e6 * seconds_per_call(operation, clock=clock) for _ in range(REPEATS)]
            cell = f"{statistics.median(times):,.0f} ({min(times):,.0f}-{max(times):,.0f})"
            table[name] = table.get(name, f"{name:32}") + f"{cell:>24}"
    print(f"{'us/batch, median (min-max)':32}" + "".join(f"{f'{size:,} rows':>24}" for size in SIZES))
    print("\n".join(table.values()))
    print(f"\nmemory of {IMAGES:,} images, us/step: features of {REPLAYED} follow, {NEW} images enter")
    for policy, step in image_memory_steps().items():
        _print_row(policy, [1e6 * seconds_per_call(step, clock=clock) for _ in range(REPEATS)])


def image_memory_steps() -> dict[str, Callable[[], object]]:
    """What a step of `Replay` does with a full memory of 32x32 images, by policy; features are other ones each time."""
    import torch

    from avalanche_ssl.memory import POLICIES, ImageBuffer

    generator = torch.Generator().manual_seed(0)
    images = smooth_images(NEW)

    def offer(memory: Any, count: int) -> None:
        labels = torch.randint(10, (count,), generator=generator)
        memory.insert(images[torch.arange(count) % NEW], torch.randn(count, DIM, generator=generator), labels)

    def step(memory: Any) -> None:
        slots = memory.sample(REPLAYED)
        memory.follow(slots, torch.randn(len(slots), DIM, generator=generator))
        offer(memory, NEW)

    memories = {policy: ImageBuffer(DIM, IMAGES, policy=policy) for policy in POLICIES}
    for memory in memories.values():
        offer(memory, IMAGES)
    return {policy: partial(step, memory) for policy, memory in memories.items()}


def memory_operations(size: int) -> dict[str, Callable[[], object]]:
    """The operations of a step on a full memory of `size` rows, by name; on other rows each time, as in training."""
    import torch

    from avalanche_ssl.functional import l2_normalize
    from avalanche_ssl.memory import MemoryBank, Queue

    generator = torch.Generator().manual_seed(0)
    rows = l2_normalize(torch.randn(BATCH, DIM, generator=generator))
    queue, bank = Queue(size, DIM), MemoryBank(size, DIM)
    for ids in torch.split(torch.arange(size), 4096):
        bank.write(scattered_ids(ids), rows[ids % BATCH])
    new_ids = iter(range(size, 2**62, BATCH))

    def known() -> Any:
        last = int(bank.n_written)
        return scattered_ids(torch.randint(last - size, last, (BATCH,), generator=generator))

    def negatives() -> object:
        slots, valid = bank.sample_negatives(known(), NEGATIVES, generator)
        return bank.rows[slots], valid

    return {
        "queue: enqueue": lambda: queue.enqueue(rows),
        "bank: write known images": lambda: bank.write(known(), rows),
        "bank: write new images": lambda: bank.write(scattered_ids(torch.arange(BATCH) + next(new_ids)), rows),
        "bank: find and read": lambda: bank.read(known(), rows),
        "bank: draw and read negatives": negatives,
    }


def scattered_ids(numbers: Any) -> Any:
    """Ids as random as content hashes: numbers times an odd constant modulo 2^64, so that neighbors' buckets differ."""
    return numbers * -7046029254386353131
