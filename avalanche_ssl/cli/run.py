"""Train a strategy on a stream, probe it after each experience, and keep a log.

python benchmarks/run.py --strategy cmc
python benchmarks/run.py --strategy moco --benchmark folder --data path/to/images --experiences 10
python benchmarks/run.py --strategy path/to/mine.py --set temperature=0.2 --set lr=0.03
python benchmarks/run.py --resume --out runs/cmc-split-digits-s0
"""

import argparse
import ast
import inspect
import sys
import time
import warnings

from avalanche_ssl.cli.command import _brief_warnings, _Parser
from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes.installed import recipe_files
from avalanche_ssl.runs.build import _benchmark, _machine, _recipe, _stream
from avalanche_ssl.runs.config import _check_points, _check_probes, _config
from avalanche_ssl.runs.folder import _check_out, _out
from avalanche_ssl.streams import BENCHMARKS


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
    for path in recipe_files():
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

    from avalanche_ssl.checkpointing.interval import SaveInterval
    from avalanche_ssl.checkpointing.signals import RunInterruptedError
    from avalanche_ssl.runs.runner import train

    SaveInterval.parse(options.checkpoint_every)
    imported = time.perf_counter()
    benchmark = _benchmark(config)
    if config["probe_every"] and not benchmark.class_names:
        raise UsageError("--probe-every: the stream has no labels to fit and score probes on; leave it out")
    before = {"import": imported - began, "data": time.perf_counter() - imported}
    try:
        every, resume = options.checkpoint_every, options.resume
        train(recipe, benchmark, config, out, every=every, resume=resume, before=before)
    except RunInterruptedError as stop:
        print(f"run.py: {stop}, everything is saved; continue with: run.py --resume --out {out}", file=sys.stderr)
        return 128 + stop.signal
    return 0


if __name__ == "__main__":
    sys.exit(main())
