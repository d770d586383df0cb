"""Freed memory stays with the process, or is given back."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FAULTS = """
import resource
from avalanche_ssl.training.malloc import keep_freed_memory

kept, faults, size = {keep}, [], 2**26
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * size
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(kept, sum(faults[6:]))
"""


def faults(keep, env):
    """Page faults of making and dropping 64 MiB six times, after as many, in a process of its own."""
    code = FAULTS.format(keep="keep_freed_memory()" if keep else "False")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    kept, count = done.stdout.split()
    return kept == "True", int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_what_is_as_large_finds_its_memory_again():
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    kept, few = faults(True, env)
    _, many = faults(False, env)
    assert kept and few < 1000 < many
    assert faults(True, env | {"MALLOC_TRIM_THRESHOLD_": "131072"})[0] is False


RESIDENT = """
from avalanche_ssl.training.malloc import give_back_freed_memory, keep_freed_memory

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

class Knot:
    pass

keep_freed_memory()
before, knot = resident(), Knot()
knot.self, knot.data = knot, [b"x" * 2**26 for _ in range(4)]
del knot
held = resident()
give_back_freed_memory()
print(held - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_what_is_freed_can_be_given_back():
    """MiB of four blocks of 64 that only a cycle refers to: kept, then given back."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True, env=env)
    held, left = map(int, done.stdout.split())
    assert held >= 256 and left < 16
