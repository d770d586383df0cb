"""Python files that settings name: read, compared with the content that a run has noted, and run as modules."""

import importlib.util
import sys
import traceback
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from avalanche_ssl.errors import UsageError


class Kind(NamedTuple):
    """What a file is for, and the words of its errors."""

    name: str
    """strategy or encoder; part of the name of the module."""
    content: str
    """What is expected, after "a Python file that"."""
    option: str
    """The option that names it."""


STRATEGY = Kind("strategy", "defines `recipe`", "--strategy PATH")
ENCODER = Kind("encoder", "defines the function", "--encoder PATH:NAME")


def file_sha256(path: Path, kind: Kind) -> str:
    """SHA-256 of a file in hexadecimal.

    Raises:
        UsageError: the file cannot be read.
    """
    return sha256(_read(path, kind)).hexdigest()


def run_file(path: Path, noted: str | None, kind: Kind, *, once: bool = False) -> ModuleType:
    """Run a file as a module; the bytes that are run are those that were checked, and no compiled copy.

    Args:
        path: the file, which can do all that its user can.
        noted: SHA-256 of the file; other content is not run.
        kind: what it is for.
        once: give the module that the same content under the same path has become already, if it was run before.

    Raises:
        UsageError: there is no such file, it is not the one that was noted, or it fails: the message names the line.
    """
    content = _read(path, kind)
    found = sha256(content).hexdigest()
    if noted is not None and found != noted:
        raise UsageError(
            f"'{path}' is not the file that was noted (SHA-256 {found[:12]}..., noted {noted[:12]}...): "
            f"give {kind.option} to run it as it is now"
        )
    name = f"avalanche_ssl_{'recipe' if kind is STRATEGY else kind.name}_{path.stem.replace('-', '_')}"
    if once:
        name += f"_{sha256(str(path.absolute()).encode() + content).hexdigest()[:12]}"
        if name in sys.modules:
            return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and isinstance(spec.loader, SourceFileLoader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, type hints and pickle look for the file's names there
    try:
        exec(spec.loader.source_to_code(content, str(module.__file__)), module.__dict__)
    except Exception as error:
        del sys.modules[spec.name]
        raise failure(path, module, error) from error
    return module


def failure(path: Path, module: ModuleType, error: Exception) -> UsageError:
    """The error of code in a file, in one line that names the file's line."""
    return UsageError(f"{path}{_line(error, module.__file__)}: {_summary(error)}")


def _read(path: Path, kind: Kind) -> bytes:
    if not path.is_file():
        raise UsageError(f"no {kind.name} file '{path}': give a path to a Python file that {kind.content}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the {kind.name} file '{path}': {error.strerror}") from error


def _line(error: Exception, file: str | None) -> str:
    """The line of the file that raised an error, e.g. ", line 3"; empty if there is none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines else ""


def _summary(error: Exception) -> str:
    """Type and message of an error in one line; for a `UsageError` the message alone."""
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return message if isinstance(error, UsageError) else f"{type(error).__name__}: {message}"
