"""The commit of a checkout, with and without changes, and where there is none."""

import subprocess
from pathlib import Path

import pytest

from avalanche_ssl import __version__
from avalanche_ssl.runs import provenance

WORDS = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *WORDS, "-C", str(root), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_of_a_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "v1")
    provenance.commit.cache_clear()
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.commit(tmp_path) == head[:12]
    (tmp_path / "b.py").write_text("not tracked\n")
    provenance.commit.cache_clear()
    assert provenance.commit(tmp_path) == head[:12]
    (tmp_path / "a.py").write_text("2\n")
    assert provenance.commit(tmp_path) == head[:12], "found once in a process"
    provenance.commit.cache_clear()
    assert provenance.commit(tmp_path) == f"{head[:12]}-dirty"


def test_a_package_below_a_checkout_of_something_else_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "site-packages").mkdir()
    assert provenance.commit(tmp_path / "site-packages") is None


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    assert provenance.commit(tmp_path) is None, "no checkout"
    monkeypatch.setenv("PATH", str(tmp_path))
    provenance.commit.cache_clear()
    assert provenance.commit(tmp_path) is None
    provenance.commit.cache_clear()


def test_versions_of_what_results_depend_on() -> None:
    found = provenance.versions()
    assert found["avalanche-ssl"] == __version__ and found.keys() >= {"python", "torch", "torchvision", "numpy"}
