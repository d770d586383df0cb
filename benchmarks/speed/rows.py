"""Rows of a table of speed: measured, and as text."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from speed.case import Case
from speed.machine import matmul_rate, peak_memory_mib, reset_peak_memory
from speed.peers import SETTINGS, build_peer
from speed.timing import in_turn, median_range, ratios
from speed.training_step import BareStep, FullStep

HEAD = f"{'strategy':16}{'encoder':11}{'batch':>6}"

BARE_HEAD = f"{HEAD}{'full, images/s':>24}{'bare':>9}{'views/s':>9}{'full/bare':>18}{'MiB':>7}"

PEER_HEAD = f"{HEAD}{'':5}{'ours, images/s':>24}{'peer, images/s':>24}{'ours/peer':>20}"


def compare_with_bare(case: Case, steps: int, rounds: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds per full step and per step of the bare network, in turn, and what follows from them."""
    reset_peak_memory(case.device)
    full, bare = FullStep(case, steps, settings), BareStep(case, steps, settings)
    slow, fast = in_turn(rounds, full, bare)
    row = case._asdict() | {"full_seconds": slow, "bare_seconds": fast, "peak_mib": peak_memory_mib(case.device)}
    row |= {"views_per_image": bare.views_per_image, "flops": bare.flops(), "parts_seconds": full.parts()}
    return row | {"matmul_flops_per_second": matmul_rate(case.device, case.precision)}


def compare_with_peer(
    case: Case, steps: int, rounds: int, settings: Mapping[str, Any], peer: str, num_workers: int
) -> dict[str, Any]:
    """Seconds per step of ours and of the peer, in turn."""
    theirs = build_peer(peer, case, steps, num_workers)
    ours = FullStep(case, steps, SETTINGS.get(case.strategy, {}) | dict(settings))
    slow, fast = in_turn(rounds, theirs, ours)
    return case._asdict() | {"peer": peer, "num_workers": num_workers, "peer_seconds": slow, "full_seconds": fast}


def bare_line(row: Mapping[str, Any]) -> str:
    """Two lines of text for a row of `compare_with_bare`."""
    slow, fast = row["full_seconds"], row["bare_seconds"]
    views = row["views_per_image"] * row["batch"] / statistics.median(slow)
    bare = row["flops"] / statistics.median(fast)
    peak = "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
    total = sum(row["parts_seconds"].values())
    shares = ", ".join(f"{part} {100 * s / total:.1f}" for part, s in row["parts_seconds"].items())
    return (
        f"{_name(row)}{_images_per_second(row, slow):>24}{row['batch'] / statistics.median(fast):>9,.0f}"
        f"{views:>9,.0f}{median_range(ratios(slow, fast)):>18}{peak:>7}\n"
        f"  {row['precision']}, bare {bare / 1e9:,.0f} GFLOP/s, "
        f"{100 * bare / row['matmul_flops_per_second']:.0f} % of a matrix product's; % of a step: {shares}"
    )


def peer_line(row: Mapping[str, Any]) -> str:
    """One line of text for a row of `compare_with_peer`."""
    ours, peer = (_images_per_second(row, row[name]) for name in ("full_seconds", "peer_seconds"))
    ratio = median_range(ratios(row["peer_seconds"], row["full_seconds"]))
    return f"{_name(row)}{row['precision']:>5}{ours:>24}{peer:>24}{ratio:>20}"


def out_of_memory_line(case: Case) -> str:
    """One line of text for a case that does not fit into the memory."""
    return f"{_name(case._asdict())}{f'out of memory in {case.precision}':>24}"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['strategy']:16}{row['encoder']:11}{row['batch']:>6}"


def _images_per_second(row: Mapping[str, Any], seconds: list[float]) -> str:
    return median_range([row["batch"] / s for s in seconds], 0)
