"""Freed memory stays with the process, or is given back."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc"),
    pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux tells what is resident"),
]

RESIDENT = """
from avalanche_ssl.training.malloc import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

kept, before = {keep}, resident()
"""


def run(code, env=None, keep=True):
    """The numbers that a process of its own prints, which has `before`, its resident MiB, and `resident`."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    code = RESIDENT.format(keep="keep_freed_memory()" if keep else "False") + code
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=own | (env or {}))
    return [int(word) for word in done.stdout.split()]


REPEATED = """
for _ in range(8):
    b"x" * 2**26
print(int(kept), resident() - before)
"""


def test_what_is_as_large_finds_its_memory_again():
    """MiB that are resident after 64 were made and dropped eight times: those of one time, or none."""
    kept, held = run(REPEATED)
    assert kept and 32 < held < 256
    assert run(REPEATED, keep=False)[1] < 32
    assert run(REPEATED, {"MALLOC_TRIM_THRESHOLD_": "131072"})[0] == 0


CYCLE = """
class Knot:
    pass

knot = Knot()
knot.self, knot.data = knot, [b"x" * 2**26 for _ in range(4)]
del knot
held = resident()
give_back_freed_memory()
print(held - before, resident() - before)
"""


def test_what_is_freed_can_be_given_back():
    """MiB of four blocks of 64 that only a cycle refers to: kept, then given back."""
    held, left = run(CYCLE)
    assert held > 192 and left < 64
