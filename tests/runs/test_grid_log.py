"""The log of one training of a grid."""

import dataclasses
from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import FineTuningEndEvent, FineTuningEpochEvent, FineTuningEvent
from avalanche_ssl.runs.grid_log import GridLog, complete_cells, make_folder

FIRST = FineTuningEvent(protocol="full", run="runs/a", settings={"lr": 0.1, "device": "cpu", "options": {"a": (1, 2)}})
EPOCH = FineTuningEpochEvent(epoch=1, loss=0.5)
END = FineTuningEndEvent(accuracy=0.5, images=10, images_tested=5, seconds=1.0)


@pytest.fixture
def log(tmp_path: Path) -> GridLog:
    return GridLog(tmp_path / "a.jsonl", FIRST, FineTuningEndEvent)


def with_settings(log: GridLog, **settings: object) -> GridLog:
    return dataclasses.replace(log, first=dataclasses.replace(FIRST, settings=FIRST.settings | settings))


def test_it_is_complete_when_its_end_is_written(log: GridLog) -> None:
    assert log.complete() is None
    write = log.begin()
    write(EPOCH)
    assert log.complete() is None
    write(END)
    first, *others = log.complete() or []
    assert isinstance(first, FineTuningEvent) and others == [EPOCH, END]
    log.begin()
    assert log.complete() is None and len(log.path.read_text().splitlines()) == 1, "what was there is replaced"


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}\n", b'{"event": "end"}\n', b"[1]\n"])
def test_what_is_no_log_of_a_training_is_not_complete(log: GridLog, content: bytes) -> None:
    log.path.write_bytes(content)
    assert log.complete() is None


def test_a_line_that_was_cut_off_ends_what_is_read(log: GridLog) -> None:
    write = log.begin()
    write(END)
    log.path.write_text(log.path.read_text()[:-10])
    assert log.complete() is None


def test_other_settings_are_refused_complete_or_not(log: GridLog) -> None:
    write = log.begin()
    for _ in range(2):
        with pytest.raises(
            UsageError, match=r"a\.jsonl is of other settings \(lr was 0\.1, is 0\.2; new was None, is 1"
        ):
            with_settings(log, lr=0.2, new=1, device="cuda").complete()
        write(END)


def test_a_complete_training_may_differ_in_what_changes_no_result(log: GridLog) -> None:
    log.begin()(END)
    assert with_settings(log, device="cuda", test_every=3).complete()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file/b \(Not a directory\): give another --out"):
        make_folder(tmp_path / "file" / "b")


def test_what_is_complete_is_counted_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = {name: GridLog(tmp_path / f"{name}.jsonl", FIRST, FineTuningEndEvent) for name in ("a", "b")}
    results = {logs["a"].path: 5}
    assert complete_cells(logs, lambda log: results.get(log.path), False, tmp_path) == {"a": 5}
    assert capsys.readouterr().out == f"1 of 2 trainings are complete already in {tmp_path}\n"
    assert complete_cells(logs, lambda log: results.get(log.path), True, tmp_path) == {}
    assert capsys.readouterr().out == ""
