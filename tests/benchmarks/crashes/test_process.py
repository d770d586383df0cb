"""Processes that are killed at chosen moments."""

import random
import signal
from functools import partial
from importlib import import_module

import pytest
from crashes.process import kills, last_output, launch, wait
from helpers import processes


def test_output_and_exit_status_of_a_process(tmp_path):
    assert wait(launch(["a", "b"], tmp_path, processes.print_arguments)) == 3
    assert last_output(tmp_path) == "arguments: a b\n"


def test_a_process_dies_in_the_given_call(tmp_path):
    assert wait(launch(["a"], tmp_path, partial(processes.die_in_command, 1))) == -signal.SIGKILL
    assert wait(launch(["a"], tmp_path, partial(processes.die_in_command, 2))) == 3


def test_half_of_a_write_comes_before_the_end(tmp_path):
    assert wait(launch([], tmp_path, partial(processes.write_half, tmp_path / "sink"))) == -signal.SIGKILL
    assert (tmp_path / "sink").read_bytes() == b"1234"


@pytest.mark.parametrize("seed", range(8))
def test_every_way_to_die_names_a_function_that_exists(seed):
    ways = list(kills(random.Random(seed), 5, 20))
    assert len(ways) == 5 and ways[0][0] == "fit"
    for _, way in ways:
        owner, name, call, *_ = way.args
        owner = import_module(owner) if isinstance(owner, str) else owner
        assert callable(getattr(owner, name)) and call >= 1
