"""The console command `avalanche-ssl`, and the frame of every command: one-line errors, brief warnings, exit status."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn, Protocol

from avalanche_ssl.distributed import is_first_to_fail, launched, launched_rank
from avalanche_ssl.errors import UsageError, unknown_name

COMMANDS = {
    "run": "train a strategy on a stream, probe it after each experience, and keep a log",
    "sweep": "run several strategies, seeds and settings",
    "reproduce": "train what published numbers are of, and print both beside each other",
    "report": "compare runs: a table on the screen, and one page with figures",
    "export": "take the encoder out of a run",
    "embed": "features of a folder of images, as a table and a picture",
    "shards": "pack images into shards, for streams that no memory holds, or index those that are there",
    "probe": "probe the encoder of a run on another stream",
    "finetune": "fine-tune the encoder of a run on labels",
}


class Main(Protocol):
    """The `main` of a command."""

    def __call__(self, arguments: list[str] | None = None) -> int:
        """Run with these arguments, by default those of the process; the exit status."""


def main(arguments: list[str] | None = None) -> int:
    """Run `avalanche-ssl COMMAND ...`; the exit status is the command's."""
    words = sys.argv[1:] if arguments is None else arguments
    if words and words[0] in COMMANDS:
        command: Main = import_module(f"avalanche_ssl.cli.{words[0]}").main
        return command(words[1:])
    if not words or words[0] in ("-h", "--help"):
        print("usage: avalanche-ssl COMMAND ...\n\ncommands, each with --help:")
        for name, about in COMMANDS.items():
            print(f"  {name:<10} {about}")
        return 0
    if words[0] == "--version":
        print(f"avalanche-ssl {version('avalanche-ssl')}")
        return 0
    print("avalanche-ssl:", unknown_name("command", words[0], COMMANDS), file=sys.stderr)
    return 2


def command(name: str, several: bool = False) -> Callable[[Callable[[list[str] | None], int]], Main]:
    """Decorate the `main` of a command, which returns its exit status.

    An expected mistake prints one line and gives exit status 2, Ctrl-C 130; a warning is one line, too.

    Args:
        name: what these lines begin with.
        several: whether several processes of a launcher may run it; others are refused.
    """

    def decorate(body: Callable[[list[str] | None], int]) -> Main:
        @functools.wraps(body)
        def framed(arguments: list[str] | None = None) -> int:
            try:
                if launched() > 1 and not several:
                    raise UsageError("works in one process: start it without torchrun")
                with _brief_warnings(name):
                    status = body(arguments)
                    sys.stdout.flush()
                    return status
            except UsageError as error:
                if is_first_to_fail(str(error)):
                    print(f"{name}:", *str(error).splitlines(), file=sys.stderr)
                return 2
            except BrokenPipeError:  # who read the output has gone, as `head` does
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 141  # as of one that ends by SIGPIPE
            except KeyboardInterrupt:
                if launched_rank() == 0:
                    print(f"{name}: interrupted", file=sys.stderr)
                return 130

        return framed

    return decorate


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` at a mistake, and shows the description as it is written."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter} | settings)

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise UsageError(f"{message}; see --help")


@contextmanager
def _brief_warnings(name: str) -> Iterator[None]:
    """Show warnings in one line, without the place in the code; filters and duplicates are as ever."""

    def brief(message: Warning | str, *place: Any, **more: Any) -> str:
        return f"{name}: warning: {' '.join(str(message).split())}\n"

    before = warnings.formatwarning
    warnings.formatwarning = brief
    try:
        yield
    finally:
        warnings.formatwarning = before
