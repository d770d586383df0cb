"""Features of all images in a folder, by several processes, in part files that an interrupted command finds again.

Images are cut into parts of `PART`, and these into batches of `BATCH`, whatever the number of processes, and each
process computes on one thread of the CPU: so the features are the same bit for bit. A part whose file has another key
(of other settings or images) is made again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from avalanche_ssl.data import ValueRange, check_value_range
from avalanche_ssl.data.image_decoding import Findings, check_damaged_option, report_damaged
from avalanche_ssl.data.image_files import find_images, warn_of_skipped
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import locked
from avalanche_ssl.rng import isolated
from avalanche_ssl.runs.feature_parts import Part, cut, key_of, read_part, write_part
from avalanche_ssl.runs.feature_source import Embedder, FeatureSource

WORTHWHILE = 4
"""Parts for which a process is worth the seconds that it takes to start."""


@dataclass(frozen=True)
class FolderFeatures:
    """Features of the images in a folder, in the order of their paths."""

    names: list[str]
    """Paths in the folder, with slashes."""
    features: NDArray[np.float32]
    """(N, D)."""
    reused: int = 0
    """How many of the images an interrupted command had embedded before."""
    value_range: ValueRange | None = None
    """Of images with more than 8 bits a channel, the values that became 0 and 255."""


def embed_folder(
    source: FeatureSource,
    data: Path,
    parts: Path,
    *,
    processes: int | None = None,
    damaged: str = "refuse",
    value_range: ValueRange | None = None,
    check: Callable[[int], object] | None = None,
) -> FolderFeatures:
    """Embed every image below a folder.

    Args:
        source: the encoder.
        data: the folder; hidden files are left out, others that are no images with a warning.
        parts: a folder for the part files, which is made. Whoever has stored the features removes it by `remove_parts`.
        processes: that embed parts at the same time; None: one per core if
            there are enough images, on a GPU one.
        damaged: "refuse" images that cannot be decoded, after all others are embedded, or "skip" them with a warning.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255; None: as in the run.
        check: is called with the number of images, before the first is decoded.

    Raises:
        UsageError: the encoder cannot be had, there are no images, images cannot be read, or the disk refuses.
    """
    check_damaged_option(damaged)
    check_value_range(value_range)
    if processes is not None and processes < 1:
        raise UsageError(f"--processes is {processes}: give 1 or more")
    paths = _images(data)
    if check:
        check(len(paths))
    embedder = source.load()
    if embedder.channels == 1:
        warnings.warn("the encoder takes gray images: colors become gray", stacklevel=2)
    value_range = value_range or embedder.value_range
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {parts} ({error.strerror}): give another --out") from error
    with locked(parts):
        every = list(cut(embedder.key, value_range, paths, data, parts))
        keys = [key_of(part.file) for part in every]
        missing = [part for part, key in zip(every, keys, strict=True) if key != part.key]
        if stale := sum(key not in (None, part.key) for part, key in zip(every, keys, strict=True)):
            warnings.warn(
                f"{stale} of {len(every)} parts in {parts} are of other settings or images: they are made again",
                stacklevel=2,
            )
        left = sum(len(part.paths) for part in missing)
        with tqdm(total=len(paths), initial=len(paths) - left, desc="embed images", unit="image", disable=None) as bar:
            try:
                _embed(missing, embedder, source, value_range, _processes(processes, source.device, missing), bar)
            except BaseException:
                bar.leave = False  # the message stands alone
                raise
        found = _joined(every, data, damaged)
    return FolderFeatures(*found, reused=len(paths) - left, value_range=value_range)


def remove_parts(parts: Path) -> None:
    """Remove the part files of a folder, and the folder if nothing else is in it."""
    for path in [*parts.glob("[0-9]*.npz"), parts / "lock"]:
        path.unlink(missing_ok=True)
    if not any(parts.iterdir()):
        parts.rmdir()


def _images(data: Path) -> list[Path]:
    if not data.is_dir():
        raise UsageError(f"no folder '{data}': give --data a folder with images")
    skipped: Counter[str] = Counter()
    try:
        paths = find_images(data, skipped)
    except OSError as error:
        raise UsageError(f"cannot read '{error.filename}' ({error.strerror}): give a readable folder") from error
    warn_of_skipped(skipped, data)
    if not paths:
        raise UsageError(f"no images in '{data}': give --data a folder with images")
    return paths


def _processes(given: int | None, device: str, missing: Sequence[Part]) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if given is None:
        given = max(1, min(cores, len(missing) // WORTHWHILE)) if device == "cpu" else 1
    return min(given, len(missing))


def _embed(
    missing: Sequence[Part],
    embedder: Embedder,
    source: FeatureSource,
    value_range: ValueRange | None,
    processes: int,
    bar: tqdm[Any],
) -> None:
    """Write the missing part files; a process that is free takes the next."""
    if processes <= 1:
        with _one_thread(), isolated():
            for part in missing:
                bar.update(write_part(part, embedder, value_range))
    else:
        context = multiprocessing.get_context("spawn")  # a fork would inherit locks of threads
        pool = ProcessPoolExecutor(processes, context, _start, (source, value_range))
        try:
            for job in as_completed([pool.submit(_work, part) for part in missing]):
                bar.update(job.result())
        except BrokenProcessPool as error:
            raise UsageError(
                "a process ended before its images were embedded, perhaps for lack of memory: repeat the command with "
                "fewer --processes, it goes on where it was"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_of_process: tuple[Embedder, ValueRange | None]
"""What a process of the pool embeds with."""


def _start(source: FeatureSource, value_range: ValueRange | None) -> None:
    """Prepare a process of the pool: it ends with its parent, which alone hears of Ctrl-C and warns."""
    global _of_process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    _of_process = source.load(), value_range


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _work(part: Part) -> int:
    return write_part(part, *_of_process)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of the CPU for torch: how many there are may change the last bits of features."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _joined(parts: Sequence[Part], data: Path, damaged: str) -> tuple[list[str], NDArray[np.float32]]:
    """Names and features of all parts.

    Raises:
        UsageError: images are damaged and refused, or all are.
    """
    contents = [read_part(part, data) for part in parts]
    names = [name for content in contents for name in content.names]
    reasons = {path: reason for content in contents for path, reason in content.reasons.items()}
    findings = Findings()
    for content in contents:
        findings.several.extend(content.findings.several)
        findings.transparent.extend(content.findings.transparent)
    findings.warn(sum(len(part.paths) for part in parts))
    if reasons:
        report_damaged(reasons, damaged, len(names), "--damaged skip")
    return names, np.concatenate([content.features for content in contents if content.names])
