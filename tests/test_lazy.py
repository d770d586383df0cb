"""Names that are imported when first used."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages
from types import ModuleType

import pytest

import avalanche_ssl
from avalanche_ssl.lazy import lazy_names


def test_names_come_from_their_modules():
    get, names = lazy_names("avalanche_ssl", {"UsageError": "errors"})
    from avalanche_ssl.errors import UsageError

    assert get("UsageError") is UsageError
    assert names() == ["UsageError"], "what dir() and completion show"
    with pytest.raises(AttributeError, match="module 'avalanche_ssl' has no attribute 'nothing'"):
        get("nothing")


@pytest.mark.parametrize("package", ["checkpointing", "recipes", "runs", "training"])
def test_all_names_of_a_lazy_room_exist(package):
    room = getattr(__import__(f"avalanche_ssl.{package}"), package)
    assert all(getattr(room, name) is not None for name in room.__all__)
    assert dir(room) == sorted(room.__all__)


@pytest.mark.parametrize(
    "package", [p.name for p in walk_packages(avalanche_ssl.__path__, "avalanche_ssl.") if p.ispkg]
)
def test_importing_a_module_hides_no_name_of_its_room(package):
    room = import_module(package)
    for name in getattr(room, "__all__", ()):
        if find_spec(f"{package}.{name}"):
            import_module(f"{package}.{name}")
            assert not isinstance(getattr(room, name), ModuleType), f"from {package} import {name} gives the module"


def test_all_names_of_the_package_exist():
    assert all(getattr(avalanche_ssl, name) is not None for name in avalanche_ssl.__all__)


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_it_is_used():
    code = "import sys, avalanche_ssl.checkpointing, avalanche_ssl.recipes, avalanche_ssl.training"
    code += "; print([name for name in ('torch', 'avalanche', 'numpy') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_reports_need_no_avalanche():
    code = "import sys, avalanche_ssl.cli.report, avalanche_ssl.reports.html; print('avalanche' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
