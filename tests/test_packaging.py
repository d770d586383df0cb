"""What is installed is complete, and the front page keeps its promises of size."""

import configparser
from importlib.metadata import entry_points

from helpers.docs import ROOT


def setup() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    return found


def test_every_room_is_installed() -> None:
    listed = set(setup()["options"]["packages"].split())
    rooms = {p.parent.relative_to(ROOT) for p in (ROOT / "avalanche_ssl").rglob("__init__.py")}
    assert listed == {".".join(room.parts) for room in rooms} | {"avalanche_ssl.strategies"}


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
