"""Recipes by the name of an installed strategy, or from a Python file."""

import importlib.util
import sys
import traceback
from hashlib import sha256
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.recipes.installed import PACKAGE, recipe_names
from avalanche_ssl.recipes.recipe import Recipe


def load_recipe(strategy: str, noted: str | None = None) -> Recipe:
    """The recipe of a strategy, by an installed name or by the path of a Python file that defines `recipe`.

    A hyphen in a name is read as an underscore: moco-v1 is moco_v1. A file is run: it can do all that its user can.

    Args:
        strategy: the name or the path.
        noted: SHA-256 of the file, in hexadecimal; other content is not run.

    Raises:
        UsageError: there is no such name (the nearest is proposed) or file, or the file has no recipe, is not the one
            that was noted, or fails: the message names the line.
    """
    if strategy.endswith(".py"):
        module = _run_file(Path(strategy), noted)
    else:
        name = strategy.replace("-", "_")
        if name not in recipe_names():
            error = unknown_name("strategy", strategy, recipe_names())
            raise UsageError(f"{error}; or give the path of a Python file that defines `recipe`")
        module = import_module(f"{PACKAGE}.{name}")
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{module.__file__} defines no `recipe = Recipe(...)`: add one")
    return recipe


def strategy_sha256(strategy: str) -> str | None:
    """SHA-256 of a strategy's file in hexadecimal; None for an installed strategy.

    Raises:
        UsageError: the file cannot be read.
    """
    return sha256(_read(Path(strategy))).hexdigest() if strategy.endswith(".py") else None


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise UsageError(f"no strategy file '{path}': give a path to a Python file that defines `recipe`")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the strategy file '{path}': {error.strerror}") from error


def _run_file(path: Path, noted: str | None) -> ModuleType:
    """Run a file as a module; the bytes that are run are those that were checked, and no compiled copy."""
    content = _read(path)
    found = sha256(content).hexdigest()
    if noted is not None and found != noted:
        raise UsageError(
            f"'{path}' is not the file that was noted (SHA-256 {found[:12]}..., noted {noted[:12]}...): "
            "give --strategy PATH to run it as it is now"
        )
    spec = importlib.util.spec_from_file_location(f"avalanche_ssl_recipe_{path.stem.replace('-', '_')}", path)
    assert spec and isinstance(spec.loader, SourceFileLoader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, type hints and pickle look for the file's names there
    try:
        exec(spec.loader.source_to_code(content, str(module.__file__)), module.__dict__)
    except Exception as error:
        del sys.modules[spec.name]
        raise UsageError(f"{path}{_line(error, module.__file__)}: {_summary(error)}") from error
    return module


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
