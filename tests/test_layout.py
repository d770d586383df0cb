"""The rooms of the package: imports point one way, Avalanche stays in its rooms, files stay small."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "avalanche_ssl"
LEVELS = [
    {"errors", "lazy"},
    {"distributed"},
    {"functional", "rng", "files"},
    {"losses", "transforms", "models", "memory", "optim", "logging", "drawing"},
    {"methods", "data"},
    {"training", "probes", "streams"},
    {"evaluation", "recipes"},
    {"detection", "plugins", "checkpointing", "strategies"},
    {"checks", "runs"},
    {"reports"},
    {"reproductions"},
    {"cli"},
]
"""A module imports rooms of the levels above its own, never a neighbor in its level; its own room is free."""
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
AVALANCHE = {"data", "streams", "training", "plugins", "checkpointing"}
"""The rooms that import Avalanche."""
FILES = sorted(PACKAGE.rglob("*.py"))
INTEGRATION = {
    "data/test_entrances.py",
    "distributed/test_equality.py",
    "losses/test_softmax_nce.py",
    "recipes/test_persistence.py",
    "recipes/test_strategies.py",
    "reports/test_damaged_runs.py",
    "runs/test_core50_runs.py",
    "runs/test_fuzz.py",
    "runs/test_interrupts.py",
    "runs/test_online_runs.py",
    "runs/test_resume.py",
    "runs/test_resumed_data.py",
}
"""Test files of a room that are about what several modules do together."""


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = room(path)
    if own in ("__init__", "__main__"):
        return
    for name in imports(path):
        package, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if package == "avalanche_ssl":
            assert other == own or LEVEL[other] < LEVEL[own], f"{own} imports {name}"
        assert package != "avalanche" or own in AVALANCHE, f"{own} imports {name}"


def test_the_levels_name_every_room() -> None:
    rooms = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert rooms <= LEVEL.keys()
    assert LEVEL.keys() - rooms <= {"strategies"}


def test_the_hall_stays_empty() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 8


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_small_and_state_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert first and "?" not in first, f"the docstring of {path} begins with: {first!r}"
    assert len(text.splitlines()) <= 300


@pytest.mark.parametrize("folder", ["benchmarks", "strategies", "tests"])
def test_no_module_asks(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        assert "?" not in first, f"the docstring of {path} begins with: {first!r}"


def test_tests_mirror_modules() -> None:
    """Every module has its test file, and a test file of a room is that of a module or a test of integration."""
    tests = {str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests").rglob("test_*.py")}
    modules = [path.relative_to(PACKAGE) for path in FILES if path.stem not in ("__init__", "__main__")]
    mirrors = {str(path.with_name(f"test_{path.name}")) for path in modules}
    assert not mirrors - tests, "modules without a test file"
    rooms = {room(path) for path in PACKAGE.glob("*/*.py")}
    others = {path for path in tests - mirrors if Path(path).parts[0] in rooms}
    assert others == INTEGRATION, "test files of no module: rename them, or say that they test integration"


def exported(folder: Path) -> set[str]:
    """The names in `__all__` of a room."""
    for node in ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return set(ast.literal_eval(node.value))
    return set()


def test_what_a_room_exports_is_imported_from_the_room() -> None:
    """By other rooms and by measurements; what it does not export they take from the file that defines it."""
    names = {folder.name: exported(folder) for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()}
    past = []
    for path in [*PACKAGE.glob("*/**/*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        own = room(path) if path.is_relative_to(PACKAGE) else ""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("avalanche_ssl."):
                other, _, file = str(node.module).removeprefix("avalanche_ssl.").partition(".")
                found = {alias.name for alias in node.names} & names.get(other, set())
                past += [f"{path}:{node.lineno} {name}" for name in found] if file and other != own else []
    assert not past


def test_users_import_rooms() -> None:
    """README and the recipes import from rooms, never from a file in one."""
    texts = [*(ROOT / "strategies").glob("*.py"), *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")]
    for path in [*texts, *PACKAGE.rglob("*.md")]:
        for module in re.findall(r"from (avalanche_ssl[\w.]*) import", path.read_text(encoding="utf-8")):
            assert module.count(".") <= 1, f"{path.name} imports from {module}"
