"""Builders of streams are listed without heavy imports, with all their options."""

from __future__ import annotations

import subprocess
import sys

from avalanche_ssl import streams


def test_names_are_read_without_torch() -> None:
    code = (
        "import sys, avalanche_ssl.streams as s; assert s.BENCHMARKS; "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'avalanche', 'numpy', 'sklearn', 'PIL')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_benchmark_has_a_line_of_help() -> None:
    assert all((build.__doc__ or "").split("\n")[0].endswith((".", "labels.")) for build in streams.BENCHMARKS.values())
