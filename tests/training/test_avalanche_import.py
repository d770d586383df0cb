"""Avalanche without the packages that no run uses: deferred while it is imported, real for everyone else."""

import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

from avalanche_ssl.training import avalanche_import
from avalanche_ssl.training.avalanche_import import import_avalanche

REAL = "value = 3\nfrom package_apart import part\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is not imported yet, in the place of those that Avalanche does not need."""
    (tmp_path / "package_apart").mkdir()
    (tmp_path / "package_apart" / "__init__.py").write_text(REAL)
    (tmp_path / "package_apart" / "part.py").write_text("import package_apart\nother = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(avalanche_import, "UNUSED", ("package_apart", "package_that_is_not_installed"))
    yield "package_apart"
    for name in ("package_apart", "package_apart.part"):
        sys.modules.pop(name, None)


def import_with(monkeypatch, statement: str) -> dict[str, object]:
    """The names that a module has which does this while Avalanche is imported, and is imported by it."""
    names: dict[str, object] = {}
    monkeypatch.setattr(avalanche_import.importlib, "import_module", _first(lambda: exec(statement, names)))
    import_avalanche()
    return names


def _first(action):
    """`import_module` that does something else instead of importing Avalanche."""

    def imported(name: str) -> ModuleType | None:
        return action() if name == "avalanche" else import_module(name)

    return imported


def test_a_module_is_imported_when_an_attribute_is_read(package, monkeypatch):
    held = import_with(monkeypatch, f"import {package}")[package]
    assert package not in sys.modules
    assert held.value == 3 and held.part.other == 4
    assert sys.modules[package] is not held


def test_what_is_imported_later_is_the_real_module(package, monkeypatch):
    held = import_with(monkeypatch, f"import {package}")[package]
    real = import_module(package)
    assert type(real) is ModuleType and real.value == 3
    assert held.part is real.part


@pytest.mark.parametrize(
    "statement", ["from package_apart import value as found", "import package_apart.part as found"]
)
def test_parts_can_be_imported_meanwhile(package, monkeypatch, statement):
    found = import_with(monkeypatch, statement)["found"]
    assert getattr(found, "other", found) in (3, 4)
    assert type(sys.modules[package]) is ModuleType


def test_a_module_that_is_there_stays(package, monkeypatch):
    real = import_module(package)
    assert import_with(monkeypatch, f"import {package}")[package] is real is sys.modules[package]


def test_nothing_is_left_when_avalanche_cannot_be_imported(package, monkeypatch):
    with pytest.raises(ZeroDivisionError):
        import_with(monkeypatch, "1 / 0")
    assert package not in sys.modules and "package_that_is_not_installed" not in sys.modules


@pytest.mark.slow
def test_a_run_imports_neither_and_a_user_both():
    """The command imports Avalanche without them; `import wandb` afterwards is wandb, also in Avalanche."""
    pytest.importorskip("wandb")
    code = (
        "import sys; from avalanche_ssl.training.avalanche_import import import_avalanche; import_avalanche()\n"
        "import avalanche_ssl.runs.runner\n"
        "assert 'wandb' not in sys.modules and 'gdown' not in sys.modules\n"
        "from avalanche.evaluation.metrics import confusion_matrix\n"
        "held = confusion_matrix.wandb\n"
        "import wandb\n"
        "assert wandb is sys.modules['wandb'] and held.Image is wandb.Image\n"
    )
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
