"""Measure training speed: full steps against the bare network or a peer, and the parts of a step by themselves.

python benchmarks/throughput.py --strategy moco,simclr --encoder smallconv,resnet18
python benchmarks/throughput.py --strategy moco --batch-size 256 --peer lightly
python benchmarks/throughput.py --strategy simclr --batch-size 32 --plugin cassle,replay+cla-e
python benchmarks/throughput.py --features --scale
python benchmarks/throughput.py --augment --memory
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from speed.case import Case

MINIMUM = {"batch_size": 2, "size": 1, "steps": 1, "rounds": 1, "threads": 1, "num_workers": 0, "scale": 1}
"""Smallest value of each option that is a number."""


@command("throughput.py")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; exit status 2 for a mistake."""
    options = parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it warns of missing solvers
    return _run(options)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    found = Parser(description=__doc__)
    add = found.add_argument
    add("--strategy", metavar="NAMES", help="full step and bare network of strategies, comma-separated; or all")
    add("--encoder", default="smallconv", metavar="NAMES", help="comma-separated (smallconv)")
    add("--batch-size", type=numbers, default=[128], metavar="N", help="images per step, comma-separated (128)")
    add("--size", type=int, default=32, metavar="N", help="side of images and of views in pixels (32)")
    add("--precision", default="auto", metavar="NAMES", help="auto, fp32 or bf16; comma-separated (auto)")
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--threads", type=int, metavar="N", help="number of torch's threads (torch's default)")
    add("--steps", type=int, default=4, metavar="N", help="steps per measurement (4)")
    add("--rounds", type=int, default=5, metavar="N", help="rounds of measurements in turn (5)")
    add("--clock", choices=("wall", "processor"), default="wall", help="processor: for a machine in use (wall)")
    add("--compile", action="store_true", help="compile the encoders with torch.compile")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="of recipes or plugins; repeatable")
    add("--plugin", metavar="NAMES", help="steps with sets of plugins over plain ones, e.g. cassle,replay+cla-e")
    add("--peer", metavar="NAME", help="measure against lightly or avalanche, in turn")
    add("--num-workers", type=int, metavar="N", help="processes of the peer's DataLoader (one per core)")
    add("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    add("--features", action="store_true", help="feature extraction for probes against the bare encoder")
    add("--scale", type=int, nargs="?", const=10_000, metavar="N", help="how costs grow; streams up to N parts (10000)")
    add("--augment", action="store_true", help="views against torchvision's PIL pipeline")
    add("--memory", action="store_true", help="writing and reading a batch in queues and banks of growing size")
    return found


def numbers(text: str) -> list[int]:
    """The numbers of a comma-separated text."""
    return [int(number) for number in text.split(",")]


def _run(options: argparse.Namespace) -> int:
    _check(options)
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
        from speed.components import measure_augmentation

        from avalanche_ssl.runs import resolve_machine

        measure_augmentation(resolve_machine(options.device, "fp32")[0])
    if options.memory:
        from speed.components import measure_memory

        measure_memory(options.clock)
    return 0


def _check(options: argparse.Namespace) -> None:
    if not (options.strategy or options.features or options.scale or options.augment or options.memory):
        raise UsageError(
            "nothing to measure: give --strategy NAMES, --features, --scale, --augment or --memory; see --help"
        )
    for name, minimum in MINIMUM.items():
        given = getattr(options, name)
        value = min(given) if isinstance(given, list) else given
        if value is not None and value < minimum:
            raise UsageError(f"--{name.replace('_', '-')} is {value}: give {minimum} or more")
    if options.plugin and (options.peer or not options.strategy):
        raise UsageError("--plugin is measured against the plain step: give --strategy NAMES, and no --peer")


def _strategies(options: argparse.Namespace) -> dict[str, Any]:
    """Measure each strategy with each encoder, batch size and precision."""
    from speed.machine import describe_machine, versions
    from speed.rows import BARE_HEAD, PEER_HEAD, bare_line, out_of_memory_line, peer_line
    from speed.timing import median_range, ratios

    cases = _cases(options, options.strategy)
    if options.plugin:
        return _plugins(options, cases)
    if options.peer:
        from speed.peers import available_cores, check_peer

        check_peer(options.peer, cases)
        options.num_workers = available_cores() if options.num_workers is None else options.num_workers
    what = f"full steps of ours and of {options.peer}" if options.peer else "full steps and bare networks"
    print(f"{what} in turn, {options.rounds} rounds of {options.steps} steps; median (min-max), {options.clock} time")
    print(f"{options.size}x{options.size}; {describe_machine(cases[0].device)}; {versions()}")
    print(PEER_HEAD if options.peer else BARE_HEAD)
    rows, line = [], peer_line if options.peer else bare_line
    for case in cases:
        row = _row(case, options)
        print(line(row) if row else out_of_memory_line(case), flush=True)
        rows += [row] if row else []
    if options.peer and rows:
        all_ratios = [ratio for row in rows for ratio in ratios(row["peer_seconds"], row["full_seconds"])]
        print("ratio", median_range(all_ratios))
    return {"machine": describe_machine(cases[0].device), "versions": versions(), "rows": rows}


def _plugins(options: argparse.Namespace, cases: list[Case]) -> dict[str, Any]:
    """Measure steps of each case with sets of plugins."""
    from speed.machine import describe_machine, versions
    from speed.plugin_steps import PLUGIN_HEAD, compare_plugins, plugin_lines, plugin_sets

    from avalanche_ssl.recipes import parse_settings

    sets, machine = plugin_sets(options.plugin), describe_machine(cases[0].device)
    what = "full steps, plain and with plugins"
    print(f"{what} in turn, {options.rounds} rounds of {options.steps} steps; median (min-max), {options.clock} time")
    print(f"{options.size}x{options.size}; {machine}; {versions()}")
    print(PLUGIN_HEAD)
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows += compare_plugins(case, options.steps, options.rounds, sets, parse_settings(options.set))
        print("\n".join(plugin_lines(rows[-len(sets) - 1 :])), flush=True)
    return {"machine": machine, "versions": versions(), "rows": rows}


def _row(case: Case, options: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of one case; None if it does not fit into the memory."""
    from speed.rows import compare_with_bare, compare_with_peer

    from avalanche_ssl.recipes import parse_settings
    from avalanche_ssl.training import out_of_memory

    measured = (case, options.steps, options.rounds, parse_settings(options.set))
    try:
        if options.peer:
            return compare_with_peer(*measured, options.peer, options.num_workers)
        return compare_with_bare(*measured)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return None


def _features(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the feature extraction of each encoder."""
    from speed.feature_extraction import BATCH, feature_speed
    from speed.machine import describe_machine
    from speed.timing import median_range

    rows = []
    for case in {case.encoder: case for case in _cases(options, "simclr")}.values():
        row = feature_speed(case, options.steps, options.rounds)
        rows.append(row)
        ours, bare = (median_range([1 / s for s in row[f"{name}_seconds"]], 0) for name in ("extraction", "bare"))
        size, where = f"{options.size}x{options.size}", describe_machine(case.device)
        print(f"features of raw images, fp32, batches of {BATCH}, {size}; {where}")
        print(f"{case.encoder:11} {ours} images/s, bare encoder {bare}: share {median_range(row['share'])}")
    return rows


def _scale(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure how costs grow, with the first encoder, batch size and precision."""
    from speed.machine import describe_machine, versions
    from speed.scaling import measure_growth

    case = _cases(options, "moco")[0]
    rounds = f"{options.rounds} rounds of {options.steps} steps in turn, {case.clock} time"
    print(
        f"{case.encoder}, {case.precision}, batch {case.batch}, {rounds}; {describe_machine(case.device)}; {versions()}"
    )
    print("growth: cost relative to the first row; linear: its quantity relative to the first row")
    return measure_growth(case, options.steps, options.rounds, options.scale)


def _cases(options: argparse.Namespace, strategies: str) -> list[Case]:
    """All combinations of the options; unknown names are refused here."""
    from speed.case import Case

    from avalanche_ssl.plugins import PLUGINS
    from avalanche_ssl.recipes import parse_settings, recipe_names
    from avalanche_ssl.runs import resolve_machine

    names = recipe_names() if strategies == "all" else strategies.split(",")
    cases = [
        Case(name, encoder, batch, options.size, precision, device, options.clock, options.compile)
        for name in names
        for encoder in options.encoder.split(",")
        for batch in options.batch_size
        for device, precision in [resolve_machine(options.device, p) for p in options.precision.split(",")]
    ]
    settings = parse_settings(options.set)
    own = {name: settings[name] for name in settings if not (options.plugin and name.partition(".")[0] in PLUGINS)}
    for case in cases:
        case.recipe(own)
    return cases


if __name__ == "__main__":
    sys.exit(main())
