"""Installed strategies are found without importing them."""

import subprocess
import sys
from pathlib import Path

import pytest

from avalanche_ssl.recipes import installed
from avalanche_ssl.recipes.installed import recipe_files, recipe_names


def test_names_are_those_of_the_files_without_private_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "few_strategies"
    folder.mkdir()
    for name in ("__init__.py", "b.py", "a.py", "_private.py", "readme.md"):
        (folder / name).write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(installed, "PACKAGE", "few_strategies")
    assert recipe_names() == ["a", "b"]
    assert recipe_files() == [folder / "a.py", folder / "b.py"]


def test_names_can_be_written_on_a_command_line_and_imported() -> None:
    assert "moco_v1" in recipe_names()
    assert all(name.isidentifier() for name in recipe_names())


@pytest.mark.slow
def test_names_and_settings_load_without_torch() -> None:
    code = """if True:
        import sys, avalanche_ssl.recipes as recipes
        recipes.recipe_names(), recipes.parse_settings(["lr=1"])
        assert not sys.modules.keys() & {"torch", "numpy"}
    """
    subprocess.run([sys.executable, "-c", code], check=True)
