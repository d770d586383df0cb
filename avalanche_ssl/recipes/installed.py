"""Names and files of the installed strategies, found without importing them."""

from importlib.util import find_spec
from pathlib import Path

PACKAGE = "avalanche_ssl.strategies"


def recipe_names() -> list[str]:
    """The names of the installed strategies, sorted."""
    return sorted(path.stem for path in recipe_files())


def recipe_files() -> list[Path]:
    """The files of the installed strategies, sorted."""
    spec = find_spec(PACKAGE)
    assert spec and spec.submodule_search_locations
    return sorted(p for folder in spec.submodule_search_locations for p in Path(folder).glob("[!_]*.py"))
