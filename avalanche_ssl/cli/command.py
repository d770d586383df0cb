"""The frame of a command: one-line errors, brief warnings, exit status."""

import argparse
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from avalanche_ssl.errors import UsageError


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
