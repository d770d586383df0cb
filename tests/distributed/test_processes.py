"""Processes that have joined agree, and say once what went wrong."""

import pytest
import torch
from helpers.several import spawned
from helpers.several_work import agree

from avalanche_ssl import distributed
from avalanche_ssl.distributed.launcher import LAUNCHED
from avalanche_ssl.distributed.processes import _Group
from avalanche_ssl.errors import UsageError


def test_one_process_agrees_with_itself():
    value = object()
    assert (distributed.size(), distributed.rank(), distributed.is_main()) == (1, 0, True)
    assert distributed.agreed(3) == 3
    assert distributed.broadcast(value) is value
    assert distributed.on_main(lambda: value) is value
    assert distributed.is_first_to_fail("it failed")
    distributed.check_same("a", "the data")
    distributed.leave()


def test_start_without_a_launcher_gives_the_device_back(monkeypatch):
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
    assert distributed.start("cpu") == torch.device("cpu")
    assert distributed.size() == 1


def test_processes_that_were_launched_must_join(monkeypatch):
    for name, value in zip(LAUNCHED, ("1", "2", "localhost", "29500"), strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"2 processes were launched, and each would train for itself: call .*start"):
        distributed.check_started()


@pytest.fixture
def launch(monkeypatch):
    """Sets what a launcher of 8 processes says to one of them."""

    def place(number, here, of_machine):
        values = (str(number), "8", "localhost", "29500", str(here), str(of_machine))
        for name, value in zip((*LAUNCHED, "LOCAL_RANK", "LOCAL_WORLD_SIZE"), values, strict=True):
            monkeypatch.setenv(name, value)

    return place


@pytest.mark.parametrize("here", [0, 3], ids=["with a GPU", "without one"])
def test_more_processes_than_gpus_are_refused_by_all_of_the_machine(launch, monkeypatch, here):
    launch(4 + here, here, 4)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match=r"^4 processes on a machine with 2 GPUs: give --nproc-per-node 2$"):
        distributed.start("cuda")


def test_one_gpu_for_all_processes_is_refused(launch, monkeypatch):
    launch(1, 1, 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    with pytest.raises(UsageError, match=r"^device cuda:0 is one GPU, and each of 8 processes takes one: give device"):
        distributed.start("cuda:0")


@pytest.mark.parametrize(("place", "speaks"), [((0, 0, 4), True), ((1, 1, 4), False), ((4, 0, 4), True)])
def test_before_processes_have_joined_the_first_of_each_machine_speaks(launch, place, speaks):
    launch(*place)
    assert distributed.is_first_to_fail("it failed") == speaks


def test_the_end_of_another_process_is_known_by_the_error_of_a_collective(monkeypatch):
    error = RuntimeError("[pair.cc:534] Connection closed by peer [127.0.0.1]:1234")
    assert distributed.another_has_ended(error) is None, "there is no other"
    monkeypatch.setattr(_Group, "size", 2)
    assert distributed.another_has_ended(error).startswith("another process has ended: torchrun --max-restarts N")
    assert distributed.another_has_ended(RuntimeError("shapes do not match")) is None
    assert distributed.another_has_ended(OSError("Broken pipe")) is None


def test_a_port_in_use_is_one_line(monkeypatch):
    import socket

    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        values = ("0", "2", "localhost", str(taken.getsockname()[1]))
        for name, value in zip(LAUNCHED, values, strict=True):
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
        with pytest.raises(
            UsageError, match=r"the processes cannot be joined: .*; look at --rdzv-endpoint, and its port"
        ):
            distributed.start("cpu")


@pytest.mark.slow
def test_three_processes_agree(tmp_path):
    first, second, third = spawned(agree, 3, tmp_path)
    assert [first["place"], second["place"], third["place"]] == [(0, 3, True), (1, 3, False), (2, 3, False)]
    for found in (first, second, third):
        assert found["agreed"] == 21
        assert found["broadcast"]["rank"] == 0
        assert found["broadcast"]["rows"].tolist() == [0.0, 0.0]
        assert found["on main"] == "done by 0"
        assert found["usage"] == "UsageError: refused by 0"
        assert "No space left on device" in found["disk"]
        assert found["differ"].startswith("the data of process 2 and of process 0 differ: give all processes the same")
    assert [first["speaks"], second["speaks"], third["speaks"]] == [True, False, False]
