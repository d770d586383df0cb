"""Where results come from: versions of Python and the packages, and the commit of a checkout of this one."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("avalanche-ssl", "torch", "torchvision", "avalanche-lib", "numpy")
"""Packages that results depend on."""
SECONDS = 10
"""How long git may take."""


def versions() -> dict[str, str]:
    """Versions of Python and the packages."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


@cache
def commit(root: Path | None = None) -> str | None:
    """The commit of the package's code, followed by `-dirty` where tracked files were changed since.

    Args:
        root: folder of the checkout; None: the one that holds the package, which is found once in a process.

    Returns:
        None where the package lies in no checkout of its own, or git cannot be run.
    """
    root = Path(__file__).parents[2] if root is None else root
    if not (root / ".git").exists():  # installed, perhaps below a checkout of something else
        return None
    words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
