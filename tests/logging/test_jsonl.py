"""The log of a run as a file: appended whole lines, rewound, and refused when it was changed."""

import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.damage import damage
from hypothesis import given, settings

from avalanche_ssl.errors import UsageError
from avalanche_ssl.logging import EndEvent, JSONLinesLogger

MANY = settings(max_examples=60)


def event(seconds: float) -> EndEvent:
    return EndEvent(images_trained=3, train_seconds=seconds, seconds=10.0)


def test_an_event_is_a_line_of_json_and_what_is_not_finite_is_null(tmp_path: Path) -> None:
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    log(event(1.5))
    log(event(float("inf")))
    first, second = (json.loads(line) for line in log.path.read_text().splitlines())
    assert first == {"event": "end", "images_trained": 3, "train_seconds": 1.5, "seconds": 10.0}
    assert second["train_seconds"] is None


def test_a_log_is_rewound_to_where_it_was(tmp_path: Path) -> None:
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    nothing = log.position()
    log(event(1))
    first = log.path.read_bytes()
    here = log.position()
    log(event(float("nan")))
    log.rewind(here)
    assert log.path.read_bytes() == first
    log.rewind(here)
    assert log.path.read_bytes() == first
    log.rewind(nothing)
    assert not log.path.exists()


@MANY
@given(change=damage())
def test_a_damaged_log_is_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    log.path.unlink(missing_ok=True)
    for i in range(5):
        log(event(i / 7))
    content, here = log.path.read_bytes(), log.position()
    log(event(9))
    log.path.write_bytes(change(content))
    if log.path.read_bytes()[: len(content)] == content:
        log.rewind(here)
        assert log.path.read_bytes() == content
        return
    left = log.path.read_bytes()
    with pytest.raises(UsageError, match="is not what the checkpoint left"):
        log.rewind(here)
    assert log.path.read_bytes() == left, "nothing is cut off a log that is refused"


def test_a_full_disk_while_logging_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"cannot write /dev/full \(No space left on device\): make room"):
        JSONLinesLogger(Path("/dev/full"))(event(1))


def test_no_half_line_is_left(tmp_path: Path) -> None:
    log = JSONLinesLogger(tmp_path / "log.jsonl")
    log(event(1))
    before = log.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
        with pytest.raises(UsageError, match="cannot write"):
            log(event(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.path.read_bytes() == before
