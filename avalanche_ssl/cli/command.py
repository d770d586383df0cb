"""The frame of a command: one-line errors, brief warnings, exit status."""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn

from avalanche_ssl.errors import UsageError, unknown_name


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, like all the others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see --help")


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


COMMANDS = {
    "run": "train a strategy on a stream, probe it after each experience, and keep a log",
    "sweep": "run several strategies, seeds and settings",
    "report": "compare runs: a table on screen, and one page with figures",
    "export": "take the encoder out of a run",
    "finetune": "fine-tune a run's encoder on labels",
}


def main(arguments: list[str] | None = None) -> int:
    """Run `avalanche-ssl COMMAND ...`; the exit status is the command's."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMMANDS:
        command: Callable[[list[str]], int] = import_module(f"avalanche_ssl.cli.{words[0]}").main
        return command(words[1:])
    if not words or words[0] in ("-h", "--help"):
        print("usage: avalanche-ssl COMMAND ...\n\ncommands (each with --help):")
        for name, about in COMMANDS.items():
            print(f"  {name:<10} {about}")
        return 0
    if words[0] == "--version":
        print(f"avalanche-ssl {version('avalanche-ssl')}")
        return 0
    print("avalanche-ssl:", unknown_name("command", words[0], COMMANDS), file=sys.stderr)
    return 2
