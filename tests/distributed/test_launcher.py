"""What the environment says of the processes that a launcher has started."""

from avalanche_ssl.distributed import launched, launched_rank
from avalanche_ssl.distributed.launcher import LAUNCHED, place_on_machine


def test_without_a_launcher_there_is_one_process(monkeypatch):
    for name in (*LAUNCHED, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # some clusters set it for jobs of one process
    assert (launched(), launched_rank(), place_on_machine()) == (1, 0, 0)


def test_a_launcher_says_how_many_and_which(monkeypatch):
    for name, value in zip((*LAUNCHED, "LOCAL_RANK"), ("5", "8", "localhost", "29500", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert (launched(), launched_rank(), place_on_machine()) == (8, 5, 1)
    monkeypatch.delenv("LOCAL_RANK")
    assert place_on_machine() == 5, "as if all were on one machine"
