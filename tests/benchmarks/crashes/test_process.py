"""Processes that are killed at chosen moments."""

import random
import signal

import pytest
from crashes import process
from crashes.process import die_at, kills, last_output, launch, wait

from avalanche_ssl.cli import run


@pytest.fixture
def command(monkeypatch):
    """Stands for the command: prints its arguments."""

    def main(arguments):
        print("arguments:", *arguments)
        return 3

    monkeypatch.setattr(run, "main", main)


def test_output_and_exit_status_of_a_process(command, tmp_path):
    assert wait(launch(["a", "b"], tmp_path)) == 3
    assert last_output(tmp_path) == "arguments: a b\n"


def test_a_process_dies_in_the_given_call(command, tmp_path):
    assert wait(launch(["a"], tmp_path, lambda: die_at(run, "main", 1))) == -signal.SIGKILL
    assert wait(launch(["a"], tmp_path, lambda: die_at(run, "main", 2))) == 3


def test_half_of_a_write_comes_before_the_end(command, tmp_path):
    class Sink:
        def __init__(self, file):
            self.file = file

        def write(self, data):
            self.file.write(data)

    with (tmp_path / "sink").open("wb") as file:

        def prepare():
            die_at(Sink, "write", 1, process._write_half)
            Sink(file).write(b"12345678")

        assert wait(launch([], tmp_path, prepare)) == -signal.SIGKILL
    assert (tmp_path / "sink").read_bytes() == b"1234"


@pytest.mark.parametrize("seed", range(8))
def test_every_way_to_die_names_a_function_that_exists(seed):
    ways = list(kills(random.Random(seed), 5, 20))
    assert len(ways) == 5 and ways[0][0] == "fit"
    for _, way in ways:
        owner, name, call, *_ = way.args
        assert callable(getattr(owner, name)) and call >= 1
