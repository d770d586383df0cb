"""The events of a log are read whatever happened to it, and what is wrong is one note."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from helpers.logs import write_run

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import EndEvent, Event, ProbeEvent, TaskEvent
from avalanche_ssl.runs import log_reader
from avalanche_ssl.runs.log_reader import LogContent, printable, read_log

PROBE = {"event": "probe", "experiences_trained": 1, "experience": 1, "probe": "ridge", "scope": "all", "accuracy": 0.5}
TASK = {"event": "task", "experiences_trained": 1, "task": "kind", "accuracy": 0.5, "chance": 0.1, "by_group": {}}


def read(folder: Path, *lines: bytes | str | dict[str, Any], tail: bytes = b"") -> LogContent:
    """A log of these lines."""
    texts = [json.dumps(line) if isinstance(line, dict) else line for line in lines]
    rows = [text.encode() if isinstance(text, str) else text for text in texts]
    (folder / "log.jsonl").write_bytes(b"".join(row + b"\n" for row in rows) + tail)
    return read_log(folder)


def event(folder: Path, line: dict[str, Any]) -> Event:
    """The only event of a log of one line."""
    content = read(folder, line)
    assert content.notes == []
    (found,) = content.events
    return found


def test_a_whole_log(tmp_path: Path) -> None:
    content = read_log(write_run(tmp_path / "a"))
    assert content.notes == [] and len(content.events) == 18
    assert isinstance(content.events[1], ProbeEvent) and content.events[1].accuracy == 0.4
    assert content.events[-1] == EndEvent(images_trained=100, train_seconds=2.0, seconds=3.0)
    assert content.digest == hashlib.sha256((tmp_path / "a" / "log.jsonl").read_bytes()).hexdigest()


BROKEN: dict[str, Any] = {
    "[1]": "has no field 'event'",
    "[" * 100_000: "is not JSON",
    '{"event": "end", "images_trained": 1}': "has no field 'train_seconds'",
    json.dumps(PROBE | {"accuracy": 1.5}): "field 'accuracy' is 1.5, out of its range",
    json.dumps(PROBE | {"experience": 0}): "field 'experience' is 0, out of its range",
    json.dumps(PROBE | {"experiences_trained": 0.5}): "field 'experiences_trained' is '0.5', not of type int",
    json.dumps(PROBE | {"scope": None}): "field 'scope' is null",
    json.dumps(PROBE | {"probe": "p" * 101}): "field 'probe' has more than 100 characters",
    json.dumps(PROBE | {"caveat": "c" * 4097}): "it holds a text of more than 4096 characters",
    json.dumps(PROBE | {"more": "x" * 2**18}): "it has more than 256 KiB",
    json.dumps(PROBE | {"more": json.loads("[" * 21 + "]" * 21)}): "its values are nested more than 20 levels deep",
    json.dumps(TASK | {"by_group": 3}): "field 'by_group' is '3', not of type dict",
    json.dumps(TASK | {"by_group": {"place": 3}}): "field 'by_group' holds no accuracies by group",
    json.dumps(TASK | {"by_group": {"place": {"here": "x"}}}): "field 'by_group' holds no accuracies by group",
    json.dumps(TASK | {"by_group": {"place": {"here": True}}}): "field 'by_group' holds no accuracies by group",
    json.dumps(TASK | {"by_group": {"place": {"here": 1.01}}}): "field 'by_group' holds no accuracies by group",
    json.dumps(TASK | {"by_group": {"p" * 101: {}}}): "field 'by_group' has a name of more than 100 characters",
    json.dumps(TASK | {"by_group": {"place": dict.fromkeys(range(1001), 0.5)}}): "has more than 1000 groups",
    '{"event": "cost", "views": 1, "steps": 1, "parameters": 1, "bytes_remembered": 1e400}': "not of type int",
    '{"event": "experience", "experiences_trained": 1, "images_trained": 1, "steps": 1, "loss": 1'
    + "0" * 400
    + ', "seconds": 1, "images_per_second": 1}': "",
}


@pytest.mark.parametrize("line", BROKEN, ids=lambda line: line[:60])
def test_a_broken_line_is_one_note_and_changes_nothing_else(tmp_path: Path, line: str) -> None:
    whole = (write_run(tmp_path / "a") / "log.jsonl").read_bytes().splitlines()
    content = read(tmp_path, *whole[:3], line, *whole[3:])
    (note,) = content.notes
    assert note.startswith("line 4 is broken: ") and BROKEN[line] in note
    assert content.events == read_log(tmp_path / "a").events


def test_several_broken_lines_are_one_note(tmp_path: Path) -> None:
    content = read(tmp_path, PROBE, b"\xff\xfe", "[1]", PROBE)
    assert content.notes == ["2 lines are broken, the first: line 2 is broken: it is not JSON"]
    assert len(content.events) == 2


@pytest.mark.parametrize("tail", [b'{"event": "prob', b"[" * 100_000, b"\x00\x00"])
def test_the_last_line_may_be_cut_off(tmp_path: Path, tail: bytes) -> None:
    content = read(tmp_path, PROBE, tail=tail)
    assert content.notes == ["the last line was cut off"] and len(content.events) == 1
    assert read(tmp_path, PROBE, tail=b"[1]").notes == ["line 2 is broken: it has no field 'event'"], "it is whole"


def test_events_of_other_programs_and_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    content = read(tmp_path, '{"event": "coffee"}', PROBE | {"color": "red"})
    assert content.notes == [] and content.events == read(tmp_path, PROBE).events


def test_after_many_broken_lines_the_rest_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "MAX_BROKEN", 3)
    assert read(tmp_path, *["x"] * 3, PROBE).notes[0].startswith("3 lines are broken, the first: line 1 ")
    content = read(tmp_path, PROBE, *["x"] * 4, PROBE)
    assert content.notes == ["more than 3 lines are broken, the first: line 2 is broken: it is not JSON"]
    assert len(content.events) == 1


def test_a_log_that_no_run_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"holds no run \(log.jsonl: No such file or directory\)"):
        read_log(tmp_path)
    monkeypatch.setattr(log_reader, "MAX_EVENTS", 3)
    assert len(read(tmp_path, *[PROBE] * 3).events) == 3
    with pytest.raises(UsageError, match=r"log\.jsonl has more than 3 events: no run has"):
        read(tmp_path, *[PROBE] * 4)
    monkeypatch.setattr(log_reader, "MAX_BYTES", 20)
    with pytest.raises(UsageError, match=r"holds no run \(log\.jsonl: "):
        read(tmp_path, PROBE)


def test_accuracies_by_group(tmp_path: Path) -> None:
    found = event(tmp_path, TASK | {"by_group": {"place": {"here": None, "there": 1}, "thing": {}}})
    assert isinstance(found, TaskEvent)
    assert math.isnan(found.by_group["place"].pop("here"))
    assert found.by_group == {"place": {"there": 1.0}, "thing": {}}


def test_what_cannot_be_shown_is_replaced(tmp_path: Path) -> None:
    bad = "a\x1b[2J\u202eb\ud800\n\x9f"
    assert printable(bad) == "a\ufffd[2J\ufffdb\ufffd\ufffd\ufffd"
    assert printable("Ünïcode $x$ <b>") == "Ünïcode $x$ <b>"
    found = event(tmp_path, TASK | {"task": bad, "by_group": {bad: {bad: 0.5}}})
    assert isinstance(found, TaskEvent) and found.task == printable(bad)
    assert found.by_group == {printable(bad): {printable(bad): 0.5}}
