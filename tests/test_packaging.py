"""What is installed is complete, and the front page keeps its promises of size."""

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points

from helpers.docs import ROOT

DISTRIBUTIONS = {
    "PIL": "pillow",
    "avalanche": "avalanche-lib",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}
"""Names of distributions that are not those of what is imported."""


def setup() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    return found


def test_every_room_is_installed() -> None:
    listed = set(setup()["options"]["packages"].split())
    rooms = {p.parent.relative_to(ROOT) for p in (ROOT / "avalanche_ssl").rglob("__init__.py")}
    assert listed == {".".join(room.parts) for room in rooms} | {"avalanche_ssl.strategies"}


def imported(node: ast.AST) -> Iterator[str]:
    """The packages that code imports when it runs, not for type checkers alone."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield str(node.module).partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def test_what_is_imported_is_declared() -> None:
    options = setup()
    lists = [options["options"]["install_requires"], *options["options.extras_require"].values()]
    lines = [line for text in lists for line in text.splitlines() if line]
    declared = {re.split(r"[ =<>]", line)[0].lower() for line in lines}
    files = [*(ROOT / "avalanche_ssl").rglob("*.py"), *(ROOT / "strategies").glob("*.py")]
    found = {name for file in files for name in imported(ast.parse(file.read_text(encoding="utf-8")))}
    others = found - set(sys.stdlib_module_names) - {"avalanche_ssl"}
    missing = {name for name in others if DISTRIBUTIONS.get(name, name) not in declared}
    assert not missing


def test_a_source_distribution_has_what_tests_read() -> None:
    grafted = re.findall(r"^graft (\S+)$", (ROOT / "MANIFEST.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"benchmarks", "tests"} <= set(grafted)


def test_warnings_of_measurements_are_errors() -> None:
    filters = re.findall(r"error:::\((.*)\)", setup()["tool:pytest"]["filterwarnings"])
    named = {name for line in filters for name in line.split("|")}
    paths = [path for path in (ROOT / "benchmarks").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))]
    callers = {path.stem for path in paths if path.is_file() and len(path.read_text("utf-8").splitlines()) < 10}
    assert {path.stem for path in paths} - callers - {"avalanche_examples"} <= named


def test_the_console_command_is_installed() -> None:
    (found,) = entry_points(group="console_scripts", name="avalanche-ssl")
    assert callable(found.load())


def test_the_versions_agree() -> None:
    from avalanche_ssl import __version__

    assert setup()["metadata"]["version"] == __version__
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_front_page_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130 and len(text.encode()) <= 10_000
