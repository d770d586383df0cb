"""A damaged run is one line of a report, and the others are reported as ever."""

import os
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.damage import damage
from helpers.damaged_runs import (
    NAME,
    VALUES,
    nested,
    places,
    read_lines,
    replaced,
    reported,
    write_full_run,
    write_lines,
)
from helpers.logs import R, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports import page, streams, table
from avalanche_ssl.runs import read_runs

MANY = settings(max_examples=150)
FEW = settings(MANY, max_examples=20)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good run, and one that will be damaged."""
    root = tmp_path_factory.mktemp("desk")
    write_full_run(root / "good", benchmark="another")
    write_full_run(root / "bad", strategy="moco")
    return root


@pytest.fixture
def whole(desk: Path) -> Iterator[bytes]:
    """The log of the run that will be damaged, which is put back."""
    log = desk / "bad" / "log.jsonl"
    content = log.read_bytes()
    yield content
    log.write_bytes(content)


def check(desk: Path, with_page: bool) -> list[str]:
    """The notes of a report on both, in which the good run is what it is alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        runs, notes = read_runs([desk / "good", desk / "bad"])
        found = streams(runs)
        notes += ["; ".join(run.notes) for run in runs if run.notes]
        text = table(found, notes)
        if with_page:
            page(found, notes).encode("utf-8", "strict")
    alone = table(streams(read_runs([desk / "good"])[0]), [])
    assert alone in text and len(notes) <= 1, notes
    assert all("\n" not in note and len(note) < 1000 for note in notes)
    text.encode("utf-8", "strict")
    assert "\x1b" not in text and "\r" not in text
    return notes


def change(draw: Callable[[Any], Any], lines: list[Any]) -> list[Any]:
    """The lines with a wrong value somewhere."""
    number = draw(st.integers(0, len(lines) - 1))
    path = draw(st.sampled_from(list(places(lines[number]))))
    return [*lines[:number], replaced(lines[number], path, draw(VALUES)), *lines[number + 1 :]]


def wrong_value(desk: Path, data: st.DataObject, with_page: bool) -> None:
    lines = read_lines(desk / "bad")
    write_lines(desk / "bad", change(data.draw, lines))
    check(desk, with_page)
    write_lines(desk / "bad", lines)


@MANY
@given(data=st.data())
def test_any_value_in_any_field(desk: Path, data: st.DataObject) -> None:
    wrong_value(desk, data, with_page=False)


@pytest.mark.slow
@FEW
@given(data=st.data())
def test_any_value_in_any_field_on_the_page(desk: Path, data: st.DataObject) -> None:
    wrong_value(desk, data, with_page=True)


@MANY
@given(data=st.data(), kind=st.sampled_from(["shuffle", "double", "drop", "all of one value"]))
def test_lines_lost_doubled_or_out_of_order(desk: Path, data: st.DataObject, kind: str) -> None:
    lines = read_lines(desk / "bad")
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    if kind == "shuffle":
        changed = rng.sample(lines, len(lines))
    elif kind == "double":
        changed = [line for line in lines for _ in range(rng.choice((1, 1, 2, 50)))]
    elif kind == "drop":
        changed = [line for line in lines if rng.random() < 0.7] or lines[:1]
    else:
        key, value = data.draw(st.sampled_from(sorted({key for line in lines for key in line}))), data.draw(VALUES)
        changed = [line | {key: value} if key in line else line for line in lines]
    write_lines(desk / "bad", changed)
    check(desk, with_page=False)
    write_lines(desk / "bad", lines)


@MANY
@given(change=damage())
def test_damaged_bytes(desk: Path, whole: bytes, change: Callable[[bytes], bytes]) -> None:
    (desk / "bad" / "log.jsonl").write_bytes(change(whole))
    check(desk, with_page=False)


PROBE = {"event": "probe", "experiences_trained": 1, "experience": 1, "probe": "ridge", "scope": "all", "accuracy": 0.5}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"event": "probe", "trained": 1e400, "evaluated": 1, "scope": "all", "accuracy": 1}', "not of type int"),
        ("[" * 200_000 + "]" * 200_000, "is broken: it has more than 256 KiB"),
        ("[" * 100_000 + "]" * 100_000, "the last line was cut off"),
        ('{"event": "probe", "trained": 3, "evaluated": 60000, "scope": "all", "accuracy": 1}', "does not have"),
        ('{"event": "probe", "trained": 60000, "evaluated": 3, "scope": "all", "accuracy": 1}', "does not have"),
        ('{"event": "probe", "trained": "3", "evaluated": 3, "scope": "all", "accuracy": 1}', "not of type int"),
        ('{"event": "probe", "trained": 3, "evaluated": 3, "scope": "all", "accuracy": -5}', "out of its range"),
        ('{"event": "probe", "trained": 3, "evaluated": 3, "scope": "all", "accuracy": NaN}', "out of its range"),
        ('{"event": "cost", "views": Infinity, "steps": 1, "parameters": 1, "bytes_remembered": 1}', "type int"),
        ('{"event": "end", "images_trained": 1, "train_seconds": Infinity, "seconds": 1}', "out of its range"),
    ],
)
def test_a_broken_line_is_one_note(desk: Path, whole: bytes, line: str, reason: str) -> None:
    log = desk / "bad" / "log.jsonl"
    log.write_bytes(whole + line.encode() + b"\n")
    (said,) = check(desk, with_page=False)
    assert reason in said


def test_wrong_types_in_the_configuration_are_left_out(desk: Path, whole: bytes) -> None:
    first, *lines = read_lines(desk / "bad")
    wrong = {"strategy": [1], "seed": [1], "settings": 5, "benchmark_options": "x", "online_batch_size": "y"}
    write_lines(desk / "bad", [first | {"config": wrong}, *lines])
    (said,) = check(desk, with_page=True)
    assert said.startswith("options with wrong values are left out: strategy, benchmark_options, ")
    write_lines(desk / "bad", [first | {"config": {"settings": {"lr": nested(25)}}}, *lines])
    assert "nested more than 20 levels deep" in check(desk, with_page=False)[0]


def test_logs_that_would_fill_the_memory_or_the_screen(desk: Path, whole: bytes, monkeypatch: Any) -> None:
    bad = desk / "bad"
    start, *rest = read_lines(bad)

    def note(lines: list[Any]) -> str:
        write_lines(bad, [start, *lines])
        return check(desk, with_page=False)[0]

    assert "more than 100 probes, tasks or baselines" in note([PROBE | {"probe": f"p{i}"} for i in range(101)])
    named = {"event": "baseline", "probe": "ridge", "scope": "all", "accuracy": 0.5}
    baselines = [named | {"name": f"b{i}"} for i in range(101)]
    assert "more than 100 probes, tasks or baselines" in note([*rest, *baselines])
    many = [PROBE | {"experience": i, "experiences_trained": i % 2} for i in range(1, 6000)]
    assert "5999 experiences by 1 probes and scopes are too many" in note(many)
    many_groups = {"place": {str(i): 0.5 for i in range(2000)}}
    task = {"event": "task", "experiences_trained": 1, "task": "a", "accuracy": 0.5, "chance": 0.5}
    assert "more than 1000 groups" in note([*rest, task | {"by_group": many_groups}])
    (bad / "log.jsonl").write_bytes(whole + b"\n" * 10_000)
    assert "more than 1000 lines are broken" in check(desk, with_page=False)[0]
    monkeypatch.setattr("avalanche_ssl.runs.log_reader.MAX_EVENTS", 20)
    (bad / "log.jsonl").write_bytes(whole)
    with pytest.raises(UsageError, match="more than 20 events"):
        read_runs([bad])


@pytest.mark.slow
def test_names_reach_screen_and_page_escaped(tmp_path: Path) -> None:
    """As strategy, stream, probe, task, group of images and caveat; lone surrogates and escape codes are replaced."""
    for i, name in enumerate((NAME, "\ud800\x1b[2J")):
        folder = write_full_run(tmp_path / f"{i}", probe=name, scope=name, caveat=name)
        lines = read_lines(folder)
        lines[0]["config"] |= {"strategy": name, "benchmark": name, "benchmark_options": {name: name}}
        lines[0]["config"]["settings"] = {name: {name: name}}
        lines[0]["versions"]["avalanche-ssl"] = name
        for line in lines:
            if line["event"] == "task":
                line |= {"task": name, "by_group": {name: {name: 0.5}}}
        write_lines(folder, [*lines, {"event": name, name: name}])
    status, said, text = reported([tmp_path / "0", tmp_path / "1"], tmp_path / "r.html")
    assert status == 0 and NAME in said and "\x1b" not in said and "\ufffd[2J" in said
    assert "<script> &" not in text and r"$x_{$ &lt;script&gt; &amp; \frac" in text
    assert text.count("<script>") == 1, "the page's own"


@pytest.mark.slow
def test_the_name_of_a_folder_is_shown_as_far_as_it_can_be(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "a\udcff", tail="{"), tmp_path / "b\udcff\x1b", write_run(tmp_path / "c", "moco")]
    status, said, text = reported(folders, tmp_path / "r.html")
    assert status == 0 and "a\ufffd: the last line was cut off" in said and "b\ufffd\ufffd holds no run" in said
    assert "a\ufffd: the last line was cut off" in text


def test_what_lies_in_place_of_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_run(tmp_path / "good")
    for name in ("folder", "pipe", "device", "huge", "empty", "binary", "link"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder" / "log.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe" / "log.jsonl")
    (tmp_path / "device" / "log.jsonl").symlink_to("/dev/zero")
    with (tmp_path / "huge" / "log.jsonl").open("wb") as file:
        file.truncate(2**42)
    (tmp_path / "empty" / "log.jsonl").write_bytes(b"")
    (tmp_path / "binary" / "log.jsonl").write_bytes(random.Random(0).randbytes(100_000))
    (tmp_path / "link" / "log.jsonl").symlink_to("log.jsonl")
    bad = sorted(path for path in tmp_path.iterdir() if path != good)
    runs, notes = read_runs([*bad, good, tmp_path / ("x" * 300)])
    assert [run.folder for run in runs] == [good]
    reasons = ["no experience", "is no file", "no experience", "is no file", "4,194,304 MiB", "symbolic", "is no file"]
    for note, reason in zip(notes, [*reasons, "File name too long"], strict=True):
        assert reason in note and "\n" not in note
    monkeypatch.setattr(Path, "open", lambda *given: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(UsageError, match=r"good holds no run \(log.jsonl: Permission denied\)"):
        read_runs([good])


def test_the_accuracies_of_a_run_are_those_that_are_whole(desk: Path, whole: bytes) -> None:
    (desk / "bad" / "log.jsonl").write_bytes(
        whole + b'{"event": "probe", "trained": 3, "evaluated": 3, "scope": "all", "accuracy": -5}\n'
    )
    (run,), _ = read_runs([desk / "bad"])
    assert run.matrix("ridge", "all").tolist() == R
