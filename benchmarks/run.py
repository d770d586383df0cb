"""Train a strategy on a stream, probe it after each experience, and keep a log.

python benchmarks/run.py --strategy cmc
python benchmarks/run.py --strategy moco --benchmark folder --data path/to/images --experiences 10
python benchmarks/run.py --strategy path/to/mine.py --set temperature=0.2 --set lr=0.03
python benchmarks/run.py --resume --out runs/cmc-split-digits-s0
"""

import argparse
import ast
import inspect
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

from avalanche_ssl.errors import UsageError, nearest
from avalanche_ssl.streams import BENCHMARKS, HEADLINES

STRATEGIES = Path(__file__).resolve().parent.parent / "strategies"
DEFAULTS: dict[str, Any] = {
    "strategy": None,
    "benchmark": "split-digits",
    "data": None,
    "stream": {},
    "online": 0,
    "replay": 0,
    "replay_batch": 0,
    "probe_every": "",
    "seed": 0,
    "device": "auto",
    "precision": "auto",
    "compile": False,
    "probes": None,
    "probe_boundaries": 0,
    "workers": 0,
    "on_nan": "stop",
    "settings": {},
}
"""What `config.yaml` holds and `--config` takes."""
KINDS: dict[str, Any] = {
    "strategy": str,
    "benchmark": str,
    "data": str | None,
    "online": int,
    "replay": int,
    "replay_batch": int,
    "probe_every": str,
    "seed": int,
    "device": str,
    "precision": str,
    "compile": bool,
    "probes": str,
    "probe_boundaries": int,
    "workers": int,
    "on_nan": Literal["stop", "skip"],
}


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, like all the others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see --help")


def main(arguments: list[str] | None = None) -> int:
    """Run as a command; expected mistakes print one line and give exit status 2, SIGINT 130, SIGTERM 143."""
    try:
        options = _parser().parse_args(arguments)
        if options.list:
            _print_list()
        else:
            with _brief_warnings():
                return _run(options)
    except UsageError as error:
        print("run.py:", *str(error).splitlines(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run.py: interrupted", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _brief_warnings() -> Iterator[None]:
    """Warnings are one line like mistakes, without the place in the code; filters and duplicates are as ever."""

    def brief(message: Warning | str, *place: Any, **more: Any) -> str:
        return f"run.py: warning: {' '.join(str(message).split())}\n"

    before = warnings.formatwarning
    warnings.formatwarning = brief
    try:
        yield
    finally:
        warnings.formatwarning = before


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--strategy", metavar="NAME|PATH", help="what learns: see --list, or a Python file that defines `recipe`")
    add("--benchmark", metavar="NAME", help="the stream: see --list (split-digits)")
    add("--data", metavar="DIR", help="folder with the images of the stream, for those that need one")
    add("--experiences", type=int, metavar="N", help="parts that the stream is cut into")
    add("--epochs", type=int, metavar="N", help="passes over each experience")
    add("--online", type=int, metavar="N", nargs="?", const=10, help="single pass in mini-batches of N images (10)")
    add("--encoder", metavar="NAME", help="smallconv, resnet9, resnet18, resnet34 or resnet50")
    add("--replay", type=int, metavar="N", help="memory of N images that are learnt again beside new ones (0)")
    add("--replay-batch", type=int, metavar="N", help="so many a step (as many as new ones; with --online twice)")
    add("--seed", type=int, metavar="N", help="of weights, views and the order of images (0)")
    add("--device", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--precision", metavar="NAME", help="auto, fp32 or bf16 (auto: bf16 where it is faster here)")
    add("--compile", action="store_const", const=True, help="encoders by torch.compile: pays in long runs")
    add(
        "--probes",
        metavar="NAMES",
        help="e.g. ridge,ridge@10%%,knn-20: the first is the headline (ridge; of CORe50 core50)",
    )
    add("--probe-every", metavar="N[,N...]", help="with --online: probe every N images of the stream too, or at these")
    add("--probe-boundaries", type=int, metavar="N", help="after every N-th experience only, and the last (at most 40)")
    add("--workers", type=int, metavar="N", help="processes that decode images not held in memory (0)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting of the recipe; repeatable")
    add("--stream", action="append", default=[], metavar="KEY=VALUE", help="any option of the stream; repeatable")
    add("--config", metavar="FILE", help="start from the config.yaml of an earlier run")
    add("--out", metavar="DIR", help="where to write (runs/STRATEGY-BENCHMARK-sSEED)")
    add("--overwrite", action="store_true", help="replace a run that is there already")
    add("--resume", action="store_true", help="continue the run in --out where it stopped; start it if there is none")
    add("--checkpoint-every", default="10min", metavar="T", help="e.g. 500it, 30s, 10min, 2h or never (10min)")
    add("--on-nan", choices=("stop", "skip"), help="at a step whose loss is not finite (stop)")
    add("--list", action="store_true", help="list strategies and streams")
    return parser


def _print_list() -> None:
    """Names with the first line of their documentation, read without importing anything heavy."""
    print("strategies (--strategy):")
    for path in sorted(STRATEGIES.glob("[!_]*.py")):
        print(f"  {path.stem:<16} {_first_line(ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))))}")
    print("streams (--benchmark; their options with --stream KEY=VALUE):")
    for name, builder in BENCHMARKS.items():
        print(f"  {name:<16} {_first_line(builder.__doc__)}")
        print(f"  {'':<16}   {', '.join(p for p in inspect.signature(builder).parameters)}")


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


def _run(options: argparse.Namespace) -> int:
    """Check everything that can be checked, then train; the exit status."""
    began = time.perf_counter()  # all that is heavy is imported from here on
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    if options.resume and not options.config:
        saved = _out(options, {} if options.out else _config(options)) / "config.yaml"
        options.config = str(saved) if saved.is_file() else None
    config = _config(options)
    out = _out(options, config)
    _check_out(out, options.overwrite or options.resume)
    config["stream"] = _stream(config)
    _check_probes(config["probes"])
    _check_points(config)
    config["device"], config["precision"] = _machine(config["device"], config["precision"])
    recipe = _recipe(options, config)
    config["settings"] = recipe.settings
    recipe.build_method()  # a wrong setting shows now, not after thousands of images were decoded

    from training import train

    from avalanche_ssl.checkpointing.interval import Interval
    from avalanche_ssl.checkpointing.signals import StoppedError

    Interval.parse(options.checkpoint_every)
    imported = time.perf_counter()
    benchmark = _benchmark(config)
    if config["probe_every"] and not benchmark.class_names:
        raise UsageError("--probe-every: the stream has no labels to fit and score probes on; leave it out")
    before = {"import": imported - began, "data": time.perf_counter() - imported}
    try:
        every, resume = options.checkpoint_every, options.resume
        train(recipe, benchmark, config, out, every=every, resume=resume, before=before)
    except StoppedError as stop:
        print(f"run.py: {stop}, everything is saved; continue with: run.py --resume --out {out}", file=sys.stderr)
        return 128 + stop.signal
    return 0


def _out(options: argparse.Namespace, config: dict[str, Any]) -> Path:
    """The run's folder."""
    if options.out:
        return Path(options.out)
    return Path(f"runs/{Path(config['strategy']).stem}-{config['benchmark']}-s{config['seed']}")


def _config(options: argparse.Namespace) -> dict[str, Any]:
    """Defaults, then --config, then the command line; checked, but for `settings`, which are those of --config."""
    from avalanche_ssl.recipes.settings import convert, parse_settings

    config = {k: dict(v) if isinstance(v, dict) else v for k, v in DEFAULTS.items()}
    if options.config:
        config |= _read_config(Path(options.config))
    given = {name: value for name in DEFAULTS if (value := getattr(options, name, None)) is not None}
    config |= given | {"stream": config["stream"] | parse_settings(options.stream)}
    if options.experiences is not None:
        config["stream"]["experiences"] = options.experiences
    if "data" in config["stream"]:
        config["data"] = config["stream"].pop("data")
    if not config["strategy"]:
        raise UsageError("no strategy: give --strategy NAME (see --list) or --strategy PATH")
    config["probes"] = config["probes"] or HEADLINES.get(config["benchmark"], "ridge")
    for name, kind in KINDS.items():
        config[name] = convert(config[name], kind, name)
        if kind is int and not 0 <= config[name] < 2**63:
            raise UsageError(f"{name} is {config[name]}: give 0 or more")
    if config["benchmark"] not in BENCHMARKS:
        raise nearest("benchmark", config["benchmark"], BENCHMARKS)
    for name in ("strategy", "data"):  # so that config.yaml can be used from any folder
        if config[name] is not None and (name == "data" or config[name].endswith(".py")):
            config[name] = str(Path(config[name]).expanduser().absolute())
    return config


def of_folder(folder: Path) -> tuple[dict[str, Any], Any]:
    """Configuration and recipe of the run in a folder.

    Raises:
        UsageError: there is none, or its configuration is damaged.
    """
    options = _parser().parse_args([f"--config={folder / 'config.yaml'}"])
    config = _config(options)
    return config, _recipe(options, config)


def _check_probes(names: str) -> None:
    """Unknown names show before anything is built."""
    from avalanche_ssl.probes.protocols import probe

    headline, *_ = [probe(name) for name in names.split(",")]
    if "all" not in headline.scopes:
        raise UsageError(f"probe '{headline.name}' has no scope 'all' for the tables: put another first, e.g. ridge")


def _check_points(config: dict[str, Any]) -> None:
    """Points lie between mini-batches, of which there are some with --online."""
    from avalanche_ssl.evaluation.schedule import Points

    Points.parse(config["probe_every"])
    if config["probe_every"] and not config["online"]:
        raise UsageError("--probe-every is about a stream of mini-batches: give --online, too")


def _read_config(path: Path) -> dict[str, Any]:
    from avalanche_ssl.recipes.settings import read_yaml

    try:
        config = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no YAML
        raise UsageError(f"cannot read --config {path}: {' '.join(str(error).split())}") from error
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
    try:
        if (out / "log.jsonl").exists() and not overwrite:
            raise UsageError(f"{out} already holds a run: give another --out, or --overwrite to replace it")
        parent = next(p for p in (out, *out.absolute().parents) if p.exists())
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): give another --out") from error
    if not parent.is_dir():
        raise UsageError(f"{parent} is a file: give another --out")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"no permission to write in {parent}: give another --out")


def _recipe(options: argparse.Namespace, config: dict[str, Any]) -> Any:
    """The strategy's recipe, changed by --config and then by the command line.

    A stream cut into mini-batches brings settings of its own: each mini-batch is one step at a constant rate. They
    come where the cutting was asked for, so that what is given later, or beside it, wins.
    """
    from avalanche_ssl.recipes.loading import load_recipe
    from avalanche_ssl.recipes.settings import parse_settings

    flags = {name: getattr(options, name) for name in ("epochs", "encoder") if getattr(options, name) is not None}
    recipe = load_recipe(config["strategy"], STRATEGIES)
    online = {"batch_size": config["online"]} | recipe.streaming if config["online"] else {}
    if options.online is None:
        recipe = recipe.override(online).override(config["settings"])
    else:
        recipe = recipe.override(config["settings"]).override(online)
    return recipe.override(parse_settings(options.set) | flags)


def _machine(device: str, precision: str) -> tuple[str, str]:
    """Device and precision, chosen where the user left it to us."""
    import torch

    from avalanche_ssl.training.precision import fastest_precision

    cuda = torch.cuda.device_count()
    if device == "auto":
        device = "cuda" if cuda else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise nearest("device", device, ["auto", "cpu", "cuda"]) from None
    if chosen.type not in ("cpu", "cuda"):
        raise nearest("device", device, ["auto", "cpu", "cuda"])
    if chosen.type == "cuda" and (chosen.index or 0) >= cuda:
        raise UsageError(f"device '{device}': torch finds {cuda} CUDA devices here; give another, or cpu")
    if precision not in ("auto", "fp32", "bf16"):
        raise nearest("precision", precision, ["auto", "fp32", "bf16"])
    return device, fastest_precision(chosen) if precision == "auto" else precision


def _stream(config: dict[str, Any]) -> dict[str, Any]:
    """All options of the stream but `data`, checked against what its builder declares."""
    from avalanche_ssl.recipes.settings import arguments, convert, plain

    name, builder = config["benchmark"], BENCHMARKS[config["benchmark"]]
    data = inspect.signature(builder).parameters.get("data")
    if data is None and config["data"] is not None:
        raise UsageError(f"benchmark '{name}' needs no --data: leave it out")
    if data is not None and data.default is data.empty and config["data"] is None:
        raise UsageError(f"benchmark '{name}' needs --data DIR")
    typed = {option: kind_and_value for option, kind_and_value in arguments(builder).items() if option != "data"}
    options = {option: value for option, (_, value) in typed.items()}
    for option, value in config["stream"].items():
        if option not in typed:
            raise nearest(f"option of {name}", option, typed)
        options[option] = plain(convert(value, typed[option][0], option))
    return options


def _benchmark(config: dict[str, Any]) -> Any:
    """The stream."""
    options = config["stream"] | ({} if config["data"] is None else {"data": config["data"]})
    try:
        return BENCHMARKS[config["benchmark"]](**options)
    except UsageError:
        raise
    except (ValueError, MemoryError) as error:  # e.g. of numpy, about a seed or a size
        raise UsageError(f"these options make no stream: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
