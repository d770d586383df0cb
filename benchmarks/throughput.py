"""How fast does a strategy learn, next to its bare network, and the parts of the package by themselves?

python benchmarks/throughput.py --strategy moco,simclr --encoder smallconv,resnet18
python benchmarks/throughput.py --strategy moco --batch-size 256 --peer lightly
python benchmarks/throughput.py --features --scale
python benchmarks/throughput.py --augment --memory
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from avalanche_ssl.errors import UsageError


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; status 2 for a mistake."""
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    try:
        return _run(options)
    except UsageError as error:
        print("throughput.py:", *str(error).splitlines(), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--strategy", metavar="NAMES", help="whole step and bare network of strategies, comma-separated; or all")
    add("--encoder", default="smallconv", metavar="NAMES", help="comma-separated (smallconv)")
    add("--batch-size", type=numbers, default=[128], metavar="N", help="images a step, comma-separated (128)")
    add("--size", type=int, default=32, metavar="N", help="pixels a side, of images and of views (32)")
    add("--precision", default="auto", metavar="NAMES", help="auto, fp32 or bf16; comma-separated (auto)")
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--threads", type=int, metavar="N", help="of torch (its default)")
    add("--steps", type=int, default=4, metavar="N", help="in each measurement (4)")
    add("--rounds", type=int, default=5, metavar="N", help="of measurements in turn (5)")
    add("--clock", choices=("wall", "processor"), default="wall", help="processor: where others use the machine (wall)")
    add("--compile", action="store_true", help="encoders by torch.compile")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting of the recipes; repeatable")
    add("--peer", metavar="NAME", help="measure ours and lightly, or avalanche, in turn")
    add("--workers", type=int, metavar="N", help="processes of the peer's DataLoader (one a core)")
    add("--json", type=Path, metavar="FILE", help="write the figures there, too")
    add("--features", action="store_true", help="features for probes against the bare encoder")
    add("--scale", type=int, nargs="?", const=10_000, metavar="N", help="how costs grow; streams to N parts (10000)")
    add("--augment", action="store_true", help="views: ours against torchvision's PIL pipeline")
    add("--memory", action="store_true", help="queue and bank of growing size: write and read a batch")
    return parser


def numbers(text: str) -> list[int]:
    """Of a comma-separated text."""
    return [int(number) for number in text.split(",")]


def _run(options: argparse.Namespace) -> int:
    if not (options.strategy or options.features or options.scale or options.augment or options.memory):
        raise UsageError(
            "nothing chosen: give --strategy NAMES, --features, --scale, --augment or --memory; see --help"
        )
    for name, least in (
        ("batch_size", 2),
        ("size", 1),
        ("steps", 1),
        ("rounds", 1),
        ("threads", 1),
        ("workers", 0),
        ("scale", 1),
    ):
        given = getattr(options, name)
        value = min(given) if isinstance(given, list) else given
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} is {value}: give {least} or more")
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    figures = _strategies(options) if options.strategy else {}
    if options.features:
        figures["features"] = _features(options)
    if options.scale:
        figures["scale"] = _scale(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.augment:
        from speed.components import augment

        from avalanche_ssl.runs.build import _machine

        augment(_machine(options.device, "fp32")[0])
    if options.memory:
        from speed.components import memory

        memory()
    return 0


def _strategies(options: argparse.Namespace) -> dict[str, Any]:
    """Measure each strategy with each encoder, batch size and precision."""
    from speed.machine import machine, versions
    from speed.rows import BARE_HEAD, PEER_HEAD, bare_line, peer_line, without_room
    from speed.timing import ratios, spread

    cases = _cases(options)
    if options.peer:
        from speed.peers import check, cores

        check(options.peer, cases)
        options.workers = cores() if options.workers is None else options.workers
    what = f"whole steps of ours and of {options.peer}" if options.peer else "whole steps and bare networks"
    print(f"{what} in turn, {options.rounds} rounds of {options.steps} steps; median (min-max), {options.clock} time")
    print(f"{options.size}x{options.size}; {machine(cases[0].device)}; {versions()}")
    print(PEER_HEAD if options.peer else BARE_HEAD)
    rows, line = [], peer_line if options.peer else bare_line
    for case in cases:
        row = _row(case, options)
        print(line(row) if row else without_room(case), flush=True)
        rows += [row] if row else []
    if options.peer and rows:
        print("ratio", spread([ratio for row in rows for ratio in ratios(row["peer_seconds"], row["whole_seconds"])]))
    return {"machine": machine(cases[0].device), "versions": versions(), "rows": rows}


def _row(case: Any, options: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of one case; None if it does not fit into the memory."""
    from speed.rows import beside_bare, beside_peer

    from avalanche_ssl.recipes.settings import parse_settings
    from avalanche_ssl.training.failures import out_of_memory

    measured = (case, options.steps, options.rounds, parse_settings(options.set))
    try:
        return beside_peer(*measured, options.peer, options.workers) if options.peer else beside_bare(*measured)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return None


def _features(options: argparse.Namespace) -> list[dict[str, Any]]:
    from speed.feature_extraction import BATCH, speeds
    from speed.machine import machine
    from speed.timing import spread

    options.strategy = "simclr"
    rows = []
    for case in {case.encoder: case for case in _cases(options)}.values():
        rows.append(speeds(case, options.steps, options.rounds))
        whole, bare = (spread([1 / s for s in rows[-1][name]], 0) for name in ("whole", "bare"))
        print(
            f"features of raw images, fp32, batches of {BATCH}, {options.size}x{options.size}; {machine(case.device)}"
        )
        print(f"{case.encoder:11} {whole} images/s, bare encoder {bare}: share {spread(rows[-1]['share'])}")
    return rows


def _scale(options: argparse.Namespace) -> list[dict[str, Any]]:
    from speed.machine import machine, versions
    from speed.scaling import grow

    options.strategy = "moco"
    case = _cases(options)[0]
    rounds = f"{options.rounds} rounds of {options.steps} steps in turn, {case.clock} time"
    print(f"{case.encoder}, {case.precision}, batch {case.batch}, {rounds}; {machine(case.device)}; {versions()}")
    print("growth: times the cost of the first row; linear: times its quantity")
    return grow(case, options.steps, options.rounds, options.scale)


def _cases(options: argparse.Namespace) -> list[Any]:
    """Everything that was asked for; wrong names show now."""
    from speed.case import Case

    from avalanche_ssl.recipes.installed import recipe_names
    from avalanche_ssl.recipes.settings import parse_settings
    from avalanche_ssl.runs.build import _machine

    names = recipe_names() if options.strategy == "all" else options.strategy.split(",")
    cases = [
        Case(name, encoder, batch, options.size, precision, device, options.clock, options.compile)
        for name in names
        for encoder in options.encoder.split(",")
        for batch in options.batch_size
        for device, precision in [_machine(options.device, p) for p in options.precision.split(",")]
    ]
    for case in cases:
        case.recipe(parse_settings(options.set))
    return cases


if __name__ == "__main__":
    sys.exit(main())
