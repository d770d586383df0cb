"""Recipes by the name of an installed strategy, or from a Python file."""

import importlib.util
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.recipes.installed import PACKAGE, recipe_names
from avalanche_ssl.recipes.recipe import Recipe


def load_recipe(strategy: str) -> Recipe:
    """The recipe of a strategy, by an installed name or by the path of a Python file that defines `recipe`.

    A hyphen in a name is read as an underscore: moco-v1 is moco_v1.

    Raises:
        UsageError: there is no such name (the nearest is proposed) or file, or the file has no recipe or fails: the
            message names the line.
    """
    if strategy.endswith(".py"):
        module = _run_file(Path(strategy))
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


def _run_file(path: Path) -> ModuleType:
    """Run a file as a module."""
    if not path.is_file():
        raise UsageError(f"no strategy file '{path}': give a path to a Python file that defines `recipe`")
    spec = importlib.util.spec_from_file_location(f"avalanche_ssl_recipe_{path.stem.replace('-', '_')}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses, type hints and pickle look for the file's names there
    try:
        spec.loader.exec_module(module)
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
