"""Train a strategy on a stream, probe it after each experience, and keep a log.

python benchmarks/run.py --strategy cmc
python benchmarks/run.py --strategy moco --benchmark folder --data path/to/images --experiences 10
python benchmarks/run.py --strategy path/to/mine.py --set temperature=0.2 --set lr=0.03
"""

import argparse
import ast
import inspect
import os
import sys
import time
from pathlib import Path
from typing import Any

from avalanche_ssl.errors import UsageError, nearest
from avalanche_ssl.streams import BENCHMARKS

STRATEGIES = Path(__file__).resolve().parent.parent / "strategies"
DEFAULTS: dict[str, Any] = {
    "strategy": None,
    "benchmark": "split-digits",
    "data": None,
    "stream": {},
    "online": 0,
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "workers": 0,
    "settings": {},
}
"""What `config.yaml` holds and `--config` takes."""


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; expected mistakes print one line and give exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        if options.list:
            _print_list()
        else:
            _run(options)
    except UsageError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--strategy", metavar="NAME|PATH", help="what learns: see --list, or a Python file that defines `recipe`")
    add("--benchmark", metavar="NAME", help="the stream: see --list (split-digits)")
    add("--data", metavar="DIR", help="folder with the images of the stream, for those that need one")
    add("--experiences", type=int, metavar="N", help="parts that the stream is cut into")
    add("--epochs", type=int, metavar="N", help="passes over each experience")
    add("--online", type=int, metavar="N", nargs="?", const=10, help="single pass in mini-batches of N images (10)")
    add("--encoder", metavar="NAME", help="smallconv, resnet9, resnet18, resnet34 or resnet50")
    add("--seed", type=int, metavar="N", help="of weights, views and the order of images (0)")
    add("--device", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--precision", metavar="NAME", help="auto, fp32 or bf16 (auto: bf16 where the processor has it)")
    add("--workers", type=int, metavar="N", help="processes that decode images not held in memory (0)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting of the recipe; repeatable")
    add("--stream", action="append", default=[], metavar="KEY=VALUE", help="any option of the stream; repeatable")
    add("--config", metavar="FILE", help="start from the config.yaml of an earlier run")
    add("--out", metavar="DIR", help="where to write (runs/STRATEGY-BENCHMARK-sSEED)")
    add("--overwrite", action="store_true", help="replace a run that is there already")
    add("--list", action="store_true", help="list strategies and streams")
    return parser


def _print_list() -> None:
    """Names with the first line of their documentation, read without importing anything heavy."""
    print("strategies (--strategy):")
    for path in sorted(STRATEGIES.glob("[!_]*.py")):
        print(f"  {path.stem:<16} {(ast.get_docstring(ast.parse(path.read_text())) or '').splitlines()[0]}")
    print("streams (--benchmark; their options with --stream KEY=VALUE):")
    for name, builder in BENCHMARKS.items():
        print(f"  {name:<16} {(builder.__doc__ or '').splitlines()[0]}")
        print(f"  {'':<16}   {', '.join(p for p in inspect.signature(builder).parameters)}")


def _run(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    config = _config(options)
    if config["benchmark"] not in BENCHMARKS:
        raise nearest("benchmark", config["benchmark"], BENCHMARKS)
    out = Path(options.out or f"runs/{Path(config['strategy']).stem}-{config['benchmark']}-s{config['seed']}")
    _check_out(out, options.overwrite)

    from avalanche_ssl.recipe import load_recipe

    recipe = load_recipe(config["strategy"], STRATEGIES).override(config["settings"])
    if config["online"]:
        recipe = recipe.override({"epochs": 1, "schedule.kind": "constant", "schedule.warmup": 0.0})
    device, precision = _device(config["device"]), config["precision"]
    config["settings"] = recipe.settings
    benchmark = _benchmark(config)

    from training import train

    train(recipe, benchmark, config, device, precision, out, start)


def _config(options: argparse.Namespace) -> dict[str, Any]:
    """Defaults, then --config, then the command line."""
    from avalanche_ssl.recipe import parse_settings
    from avalanche_ssl.settings import convert

    config = {k: dict(v) if isinstance(v, dict) else v for k, v in DEFAULTS.items()}
    if options.config:
        config |= _read_config(Path(options.config))
    given = {name: value for name in DEFAULTS if (value := getattr(options, name, None)) is not None}
    given["stream"] = config["stream"] | parse_settings(options.stream)
    given["settings"] = config["settings"] | parse_settings(options.set)
    if options.experiences is not None:
        given["stream"]["experiences"] = options.experiences
    for name in ("epochs", "encoder"):
        if getattr(options, name) is not None:
            given["settings"][name] = getattr(options, name)
    config |= given
    if not config["strategy"]:
        raise UsageError("no strategy: give --strategy NAME (see --list) or --strategy PATH")
    kinds = {"seed": int, "online": int, "workers": int, "strategy": str, "benchmark": str}
    for name, kind in kinds.items():
        config[name] = convert(config[name], kind, name)
        if kind is int and config[name] < 0:
            raise UsageError(f"{name} is {config[name]}: give 0 or more")
    return config


def _read_config(path: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read --config {path}: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict):
        raise UsageError(f"--config {path} holds no settings: give the config.yaml of a run")
    for key in config:
        if key not in DEFAULTS:
            raise nearest(f"key in {path}", key, DEFAULTS)
    for key in ("stream", "settings"):
        if not isinstance(config.get(key, {}), dict):
            raise UsageError(f"'{key}' in {path} is {config[key]!r}: give KEY: VALUE lines")
    return config


def _check_out(out: Path, overwrite: bool) -> None:
    """Refuse to write over another run, and find out now whether the folder can be written."""
    if (out / "log.jsonl").exists() and not overwrite:
        raise UsageError(f"{out} already holds a run: give another --out, or --overwrite to replace it")
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: give a folder")
    parent = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not os.access(parent, os.W_OK):
        raise UsageError(f"no permission to write in {parent}: give another --out")


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise nearest("device", name, ["auto", "cpu", "cuda"])
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device '{name}': torch finds no CUDA device here; give --device cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device '{name}' is not known: give auto, cpu or cuda") from error


def _benchmark(config: dict[str, Any]) -> Any:
    """The stream, built with the options that its builder declares."""
    from avalanche_ssl.settings import arguments, convert

    builder = BENCHMARKS[config["benchmark"]]
    options = dict(config["stream"])
    accepted = inspect.signature(builder).parameters
    if config["data"] is not None:
        options["data"] = config["data"]
    for name in options:
        if name not in accepted:
            raise nearest(f"option of {config['benchmark']}", name, accepted)
    for name, p in accepted.items():
        if p.default is p.empty and name not in options:
            raise UsageError(f"benchmark '{config['benchmark']}' needs --{name} DIR")
    kinds = {name: kind for name, (kind, _) in arguments(builder).items()}
    return builder(**{n: convert(v, kinds[n], n) if n in kinds else v for n, v in options.items()})


if __name__ == "__main__":
    sys.exit(main())
