"""Recipes by name and from files of one's own; every mistake in a file is one line."""

import os
import py_compile
from pathlib import Path

import pytest

from avalanche_ssl import check_method
from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes import loading
from avalanche_ssl.recipes.loading import load_recipe, strategy_sha256

MINE = """
from __future__ import annotations

from dataclasses import dataclass

from avalanche_ssl import Recipe
from avalanche_ssl.methods import SimCLR


@dataclass(frozen=True)
class Extra:
    weights: tuple[float, ...] = (1.0, 2.0)


class Mine(SimCLR):
    def __init__(self, encoder, dim: int = 8, extra: Extra = Extra()) -> None:
        super().__init__(encoder, dim)
        self.extra = extra


recipe = Recipe(Mine, lr=0.01)
"""


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_file_of_ones_own_with_its_own_method(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINE)).override({"extra.weights": [3], "dim": 4})
    method = recipe.build_method()
    assert type(method).__name__ == "Mine"
    assert method.extra.weights == (3.0,)
    assert recipe.settings["extra"] == {"weights": [3.0]}
    assert recipe.lr == 0.01
    check_method(method)


def test_a_file_is_found_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, MINE)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("mine.py").lr == 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "defines no `recipe = Recipe(...)`: add one"),
        ("recipe = 5", "defines no `recipe = Recipe(...)`: add one"),
        ("\n\ndef f(:\n", ", line 3: SyntaxError: invalid syntax"),
        ("x = 1\n\nimport nowhere_at_all", ", line 3: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def f():\n    raise KeyError('a\\nb')\nf()", r", line 2: KeyError: 'a\nb'"),
        ("raise ValueError('a\\n  b')", ", line 1: ValueError: a b"),
        (
            "from avalanche_ssl import Recipe\nfrom avalanche_ssl.methods import MoCo\n"
            "recipe = Recipe(MoCo, encoder='smalconv')",
            ", line 3: no encoder 'smalconv': did you mean 'smallconv'?",
        ),
        ("x = '\0'", "source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_gives_no_recipe_is_explained_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as error:
        load_recipe(path)
    assert message in str(error.value)
    assert str(error.value).startswith(path)
    assert "\n" not in str(error.value)


def test_a_strategy_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no strategy 'mocoo': did you mean 'moco'\? \(.*cmc.*\); or give the path"):
        load_recipe("mocoo")
    with pytest.raises(UsageError, match=r"no strategy file '.*absent.py': give a path to a Python file"):
        load_recipe(str(tmp_path / "absent.py"))
    monkeypatch.setattr(loading, "recipe_names", list)
    with pytest.raises(UsageError, match=r"no strategy 'x': choose one \(none\)"):
        load_recipe("x")


def test_a_hyphen_in_a_name_is_an_underscore() -> None:
    assert load_recipe("moco-v1") is load_recipe("moco_v1")


@pytest.mark.parametrize(
    "name", ["../../evil", "a/b", "/evil", "moco/../moco", "strategies.moco", "moco.", "", "_moco"]
)
def test_a_name_is_that_of_an_installed_strategy_and_nothing_else(name: str) -> None:
    with pytest.raises(UsageError, match="no strategy '"):
        load_recipe(name)


def test_a_noted_file_is_run_if_it_is_unchanged(tmp_path: Path) -> None:
    path = write(tmp_path, MINE)
    noted = strategy_sha256(path)
    assert load_recipe(path, noted).lr == 0.01 and strategy_sha256("moco") is None
    marker = tmp_path / "marker"
    write(tmp_path, MINE + f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(UsageError, match=r"mine.py' is not the file that was noted \(SHA-256 .*: give --strategy PATH"):
        load_recipe(path, noted)
    assert not marker.exists()
    assert load_recipe(path).lr == 0.01 and marker.exists()


def test_what_is_run_is_the_source_and_no_compiled_copy(tmp_path: Path) -> None:
    """A compiled file with the time and size of the source would be taken by Python's own import."""
    marker = tmp_path / "marker"
    evil = MINE + f"open({str(marker)!r}, 'w')\n"
    path = Path(write(tmp_path, evil))
    py_compile.compile(str(path))
    stat = path.stat()
    path.write_text(MINE.ljust(len(evil), "\n"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert load_recipe(str(path), strategy_sha256(str(path))).lr == 0.01
    assert not marker.exists()
