"""One row of a table of speed: measured, and as text."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from speed.case import Case
from speed.machine import forget_peak, peak_mib, product_rate
from speed.peers import SETTINGS, build
from speed.timing import in_turn, ratios, spread
from speed.training_step import Bare, Whole

HEAD = f"{'strategy':16}{'encoder':11}{'batch':>6}"

BARE_HEAD = f"{HEAD}{'whole, images/s':>24}{'bare':>9}{'views/s':>9}{'whole/bare':>18}{'MiB':>7}"

PEER_HEAD = f"{HEAD}{'':5}{'ours, images/s':>24}{'peer, images/s':>24}{'ours/peer':>20}"


def beside_bare(case: Case, steps: int, rounds: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds a step of the whole and of the bare network in turn, and what follows from them."""
    forget_peak(case.device)
    whole, bare = Whole(case, steps, settings), Bare(case, steps, settings)
    slow, fast = in_turn(rounds, whole, bare)
    row = case._asdict() | {"whole_seconds": slow, "bare_seconds": fast, "peak_mib": peak_mib(case.device)}
    row |= {"views_an_image": bare.views_an_image, "flops": bare.flops(), "parts_seconds": whole.shares()}
    return row | {"product_flops_per_second": _product_rate(case.device, case.precision)}


def beside_peer(
    case: Case, steps: int, rounds: int, settings: Mapping[str, Any], peer: str, workers: int
) -> dict[str, Any]:
    """Seconds a step of ours and of the peer in turn."""
    theirs = build(peer, case, steps, workers)
    ours = Whole(case, steps, SETTINGS.get(case.strategy, {}) | dict(settings))
    slow, fast = in_turn(rounds, theirs, ours)
    return case._asdict() | {"peer": peer, "workers": workers, "peer_seconds": slow, "whole_seconds": fast}


def bare_line(row: Mapping[str, Any]) -> str:
    """What `beside_bare` found, in two lines."""
    slow, fast = row["whole_seconds"], row["bare_seconds"]
    views = row["views_an_image"] * row["batch"] / statistics.median(slow)
    bare = row["flops"] / statistics.median(fast)
    peak = "" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}"
    total = sum(row["parts_seconds"].values())
    shares = ", ".join(f"{part} {100 * s / total:.1f}" for part, s in row["parts_seconds"].items())
    return (
        f"{_name(row)}{_images(row, slow):>24}{row['batch'] / statistics.median(fast):>9,.0f}"
        f"{views:>9,.0f}{spread(ratios(slow, fast)):>18}{peak:>7}\n"
        f"  {row['precision']}, bare {bare / 1e9:,.0f} GFLOP/s, "
        f"{100 * bare / row['product_flops_per_second']:.0f} % of a matrix product's; % of a step: {shares}"
    )


def peer_line(row: Mapping[str, Any]) -> str:
    """What `beside_peer` found."""
    ours, peer = (_images(row, row[name]) for name in ("whole_seconds", "peer_seconds"))
    ratio = spread(ratios(row["peer_seconds"], row["whole_seconds"]))
    return f"{_name(row)}{row['precision']:>5}{ours:>24}{peer:>24}{ratio:>20}"


def without_room(case: Case) -> str:
    """Of a case that does not fit into the memory."""
    return f"{_name(case._asdict())}{f'out of memory in {case.precision}':>24}"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['strategy']:16}{row['encoder']:11}{row['batch']:>6}"


def _images(row: Mapping[str, Any], seconds: list[float]) -> str:
    """Images a second."""
    return spread([row["batch"] / s for s in seconds], 0)


_product_rate = lru_cache(product_rate)
