"""Recipes by the name of an installed strategy, or from a Python file."""

from importlib import import_module
from pathlib import Path

from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.recipes.installed import PACKAGE, recipe_names
from avalanche_ssl.recipes.python_files import STRATEGY, file_sha256, run_file
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
        module = run_file(Path(strategy), noted, STRATEGY)
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
    return file_sha256(Path(strategy), STRATEGY) if strategy.endswith(".py") else None
