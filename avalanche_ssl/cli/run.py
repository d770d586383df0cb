"""Train a strategy on a stream, probe it after each experience, and keep a log.

avalanche-ssl run --strategy cmc
avalanche-ssl run --strategy moco --data path/to/images
avalanche-ssl run --strategy path/to/mine.py --set temperature=0.2 --set lr=0.03
avalanche-ssl run --resume --out runs/cmc-split-digits-s0
avalanche-ssl run --strategy moco --encoder resnet50 --init moco_v2_800ep_pretrain.pth.tar --data path/to/images
avalanche-ssl run --continue-from runs/cmc-split-digits-s0 --epochs 10
"""

from __future__ import annotations

import argparse
import ast
import inspect
import shlex
import sys
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.options import add_options, misplaced, read_options
from avalanche_ssl.distributed import is_main, launched, on_main
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import PLUGINS, plugin_line, plugin_settings
from avalanche_ssl.recipes import file_of, recipe_files
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.folder import check_out, default_out, is_finished
from avalanche_ssl.streams import BENCHMARKS, REGIMES


@command("avalanche-ssl run", several=True)
def main(arguments: list[str] | None = None) -> int:
    """Run as a command; SIGINT gives exit status 130, SIGTERM 143."""
    options = parser().parse_args(arguments)
    if options.list:
        _print_list()
        return 0
    return _run(options)


class RunParser(Parser):
    """A parser that says of settings of the recipe and options of the benchmark how they are given."""

    before = ""
    """What stands before options of a run."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; a word that is no option is a `UsageError` with the right one."""
        options, words = self.parse_known_args(args, namespace)
        if not words:
            return options
        option, _, value = words[0].partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if option.startswith("--") and (found := misplaced(name, options)):
            following = words[1] if len(words) > 1 and not words[1].startswith("--") else "VALUE"
            raise UsageError(f"no option '{option}': give {self.before}{found} {name}={value or following}")
        self.error(f"unrecognized arguments: {' '.join(words)}")


def parser() -> argparse.ArgumentParser:
    """The options of a run, and those of this call of the command."""
    found = RunParser(prog="avalanche-ssl run", description=__doc__)
    add_options(found)
    add = found.add_argument
    add("--out", type=Path, metavar="DIR", help="where to write (runs/STRATEGY-BENCHMARK-sSEED)")
    add("--overwrite", action="store_true", help="replace a run that is there already")
    add("--resume", action="store_true", help="continue the run in --out where it stopped; start it if there is none")
    add("--checkpoint-every", default="10min", metavar="T", help="e.g. 500it, 30s, 10min, 2h or never (10min)")
    add("--keep-checkpoints", action="store_true", help="keep the checkpoints of a finished run")
    add("--list", action="store_true", help="list strategies, plugins and benchmarks")
    return found


def _run(options: argparse.Namespace) -> int:
    """Check everything that can be checked, then train; the exit status."""
    from avalanche_ssl.runs.console import status

    began = time.perf_counter()  # all that is heavy is imported from here on
    warnings.filterwarnings("ignore", module="qpsolvers")  # Avalanche imports it, and it misses solvers
    with _joined(options):
        chosen = on_main(lambda: _chosen(options))
        if chosen is None:
            return 0
        config, out = chosen
        with status("importing torch and Avalanche"):
            from avalanche_ssl.training.avalanche_import import import_avalanche

            import_avalanche()
            from avalanche_ssl.checkpointing import RunInterruptedError
            from avalanche_ssl.runs import run
        try:
            run(
                config,
                out,
                overwrite=options.overwrite,
                resume=options.resume,
                checkpoint_every=options.checkpoint_every,
                keep_checkpoints=options.keep_checkpoints,
                started=began,
            )
        except RunInterruptedError as stop:
            if is_main():
                print(f"avalanche-ssl run: {stop}, everything is saved; {_continuation(config, out)}", file=sys.stderr)
            return 128 + stop.signal
    return 0


def _joined(options: argparse.Namespace) -> AbstractContextManager[None]:
    """A block in which the processes that a launcher has started learn as one."""
    if launched() == 1:
        return nullcontext()
    from avalanche_ssl.runs.processes import joined  # imports Avalanche, which has to come before they join

    return joined(options.device or "auto")


def _chosen(options: argparse.Namespace) -> tuple[RunConfig, Path] | None:
    """What is run, and where; None where it is finished."""
    if options.resume and not options.config:
        resumed = options.out or default_out(read_options(options))
        check_out(resumed, overwrite=True)  # before anything in it is read
        saved = resumed / "config.yaml"
        options.config = saved if saved.is_file() else None
    if options.continue_from and not options.config:
        parent = Path(options.continue_from).expanduser()
        if not (parent / "config.yaml").is_file():
            raise UsageError(f"no run '{parent}' to continue from: give the folder of a finished run")
        options.config = parent / "config.yaml"
    config = read_options(options)
    out = options.out or default_out(config)
    check_out(out, options.overwrite or options.resume)
    if options.resume and is_finished(out):
        print(f"{out} is finished: nothing is left to train")
        return None
    return config, out


def _continuation(config: RunConfig, out: Path) -> str:
    """What to do after an interruption."""
    own = ["--strategy", config.strategy] if config.is_file else []
    encoder = config.settings.get("encoder")
    own += ["--encoder", str(encoder)] if file_of(encoder) else []
    again = shlex.join(["avalanche-ssl", "run", "--resume", "--out", str(out), *own])
    return f"continue with: {again}"


def _print_list() -> None:
    """Print names with the first line of their documentation, read without importing anything heavy."""
    print("strategies (--strategy NAME):")
    for path in recipe_files():
        _print_entry(path.stem, _first_line(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))))
    print("plugins (--plugin NAME; their settings with --set NAME.KEY=VALUE):")
    for name in PLUGINS:
        _print_entry(name, plugin_line(name))
        _print_entry("", f"  {', '.join(plugin_settings(name))}")
    print("benchmarks (--benchmark NAME; their options with --benchmark-option KEY=VALUE):")
    for name, builder in BENCHMARKS.items():
        _print_entry(name, _first_line(builder.__doc__))
        _print_entry("", f"  {', '.join(inspect.signature(builder).parameters)}")
    _print_entry("each of them", f"regime ({', '.join(REGIMES)}); joint: all images at once; cumulative: all so far")


def _print_entry(name: str, text: str) -> None:
    print(f"  {name:<21} {text}")


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
