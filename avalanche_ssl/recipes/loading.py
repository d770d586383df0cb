"""Load a recipe by name or from a file."""

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.errors import UsageError, nearest

if TYPE_CHECKING:
    pass
from avalanche_ssl.recipes.recipe import Recipe


def load_recipe(strategy: str, folder: Path) -> Recipe:
    """The recipe of a strategy: a name in `folder`, or a path to a Python file of yours that defines `recipe`.

    Raises:
        UsageError: no such name (the nearest is proposed), no such file, a file without a recipe, or one that
            cannot be run: the message names the line.
    """
    path = Path(strategy) if strategy.endswith(".py") else folder / f"{strategy}.py"
    if not path.is_file():
        if strategy.endswith(".py"):
            raise UsageError(f"no strategy file '{strategy}': give a path to a Python file that defines `recipe`")
        error = nearest("strategy", strategy, recipe_names(folder))
        raise UsageError(f"{error}; or give the path of a Python file that defines `recipe`")
    spec = importlib.util.spec_from_file_location(f"avalanche_ssl_recipe_{path.stem.replace('-', '_')}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses, type hints and pickle look for the names of the file
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise UsageError(f"{path}{_line(error, module.__file__)}: {_summary(error)}") from error
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{path} defines no `recipe = Recipe(...)`: add one")
    return recipe


def _line(error: Exception, file: str | None) -> str:
    """Where in the file an error comes from, e.g. ", line 3"."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines else ""


def _summary(error: Exception) -> str:
    """Kind and message in one line; of our own errors the message alone."""
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return message if isinstance(error, UsageError) else f"{type(error).__name__}: {message}"


def recipe_names(folder: Path) -> list[str]:
    """Names of the recipes in a folder."""
    return sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
