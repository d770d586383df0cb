"""A checkpoint file is there and intact whatever happens, and no file runs code."""

import errno
import io
import os
import pickle
import resource
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.damage import damage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avalanche_ssl.checkpointing import file_format
from avalanche_ssl.checkpointing.file_format import DamagedError, latest, previous, read, write
from avalanche_ssl.errors import UsageError

MANY = settings(max_examples=60)


def state(number: int) -> dict[str, Any]:
    return {"number": number, "rows": torch.full((50, 7), float(number)), "deep": [(1, None), {"a": "b"}]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "checkpoint", state(1))
    return tmp_path / "checkpoint"


def number(path: Path) -> int:
    found = latest(path)
    assert found is not None
    assert torch.equal(found["rows"], state(found["number"])["rows"])
    return int(found["number"])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert latest(path) is None
    for i in range(3):
        write(path, state(i))
    assert number(path) == 2
    assert read(previous(path))["number"] == 1
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint", "checkpoint.previous"}
    found = read(path)
    assert found["deep"] == state(2)["deep"]


# -- a crash or an error at each system call ---------------------------------------------------------------------------


def at_call(target: int, act: Callable[..., None], patch: Callable[[Any, str, Any], None], calls: list[str]) -> None:
    """Before the given system call of writing a checkpoint, counted from 0, do something."""

    def spy(owner: Any, name: str, label: str) -> None:
        original = getattr(owner, name)

        def noted(*given: Any) -> Any:
            calls.append(label)
            if len(calls) - 1 == target:
                act(original, *given)
            return original(*given)

        patch(owner, name, noted)

    spy(file_format.HashingWriter, "write", "write")
    for name in ("fsync", "replace", "open"):
        spy(os, name, name)


def count_calls(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    with monkeypatch.context() as m:
        at_call(-1, lambda *_: None, m.setattr, calls)
        write(path, state(1))
    return calls


def die(original: Any, *given: Any) -> None:
    """As in a power cut: nothing else happens, and half of what was to be written is written."""
    if given and isinstance(given[0], file_format.HashingWriter):
        data = bytes(given[1])
        given[0].file.write(data[: len(data) // 2])
        given[0].file.flush()
    os._exit(9)


def test_the_new_file_is_on_the_disk_before_it_gets_its_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(path, monkeypatch)
    assert calls[-5:] == ["fsync", "replace", "replace", "open", "fsync"]
    assert set(calls[:-5]) == {"write"} and len(calls) > 10


@pytest.mark.slow
def test_a_crash_at_any_system_call_leaves_a_whole_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(path, monkeypatch)
    found = []
    for target in range(len(calls)):
        write(path, state(1))
        child = os.fork()
        if not child:
            at_call(target, die, setattr, [])
            write(path, state(2))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # no file is damaged, only missing
            found.append(number(path))
        write(path, state(3))
        assert number(path) == 3, "and the next one is written as if nothing had been"
    new = calls.index("open")
    assert found == [1] * new + [2] * (len(calls) - new)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_at_any_system_call_is_one_line(code: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    def fail_in_write(original: Any, *given: Any) -> None:
        if given and isinstance(given[0], file_format.HashingWriter):
            given[0].file.close()  # its next write fails
            given[0].error = OSError(code, os.strerror(code))
        else:
            fail()

    calls = count_calls(path, monkeypatch)
    for target in range(len(calls)):
        with monkeypatch.context() as m:
            at_call(target, fail_in_write, m.setattr, [])
            with pytest.raises(UsageError, match=f"cannot write .*{os.strerror(code)}.*make room"):
                write(path, state(2))
        assert number(path) in (1, 2)
        assert not path.with_name("checkpoint.part").exists()
        write(path, state(1))


def test_a_disk_that_is_really_full(path: Path) -> None:
    """The system refuses the bytes beyond a limit in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(UsageError, match=r"cannot write .* \(File too large\)"):
            write(path, state(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert number(path) == 1


# -- damage ------------------------------------------------------------------------------------------------------------


@MANY
@given(change=damage())
def test_a_damaged_checkpoint_is_never_used(path: Path, change: Callable[[bytes], bytes]) -> None:
    write(path, state(1))
    write(path, state(2))
    content = path.read_bytes()
    damaged = change(content)
    path.write_bytes(damaged)
    if damaged == content:  # zeros over zeros
        assert number(path) == 2
        return
    with pytest.warns(UserWarning, match="was damaged .* the one before it is used"):
        assert number(path) == 1
    assert path.with_name("checkpoint.damaged").read_bytes() == damaged
    assert number(path) == 1, "and no more words of it"
    previous(path).write_bytes(change(previous(path).read_bytes()) + b"x")
    with pytest.raises(DamagedError, match="no intact checkpoint"):
        latest(path)


# -- untrusted files ---------------------------------------------------------------------------------------------------


class Evil:
    """A malicious pickle: loading it calls any function."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.victim}",)


def sealed(content: bytes) -> bytes:
    """A file that looks like a checkpoint of ours in everything but its content."""
    import hashlib

    body = file_format.MAGIC + content
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "inside"])
def test_a_malicious_pickle_is_refused_before_it_runs(form: str, tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "checkpoint"
    content = io.BytesIO()
    evil = {"version": 4, "strategy": Evil(victim)} if form == "inside" else Evil(victim)
    if form == "pickle":
        pickle.dump(evil, content)
    else:
        torch.save(evil, content, _use_new_zipfile_serialization=form != "legacy")
    path.write_bytes(sealed(content.getvalue()))
    with pytest.raises(UsageError, match="holds more than tensors and plain values and was not loaded") as error:
        latest(path)
    assert "\n" not in str(error.value)
    assert not victim.exists()
    content.seek(0)
    torch.load(content, weights_only=False) if form != "pickle" else pickle.load(content)
    assert victim.exists(), "the pickle is malicious indeed"


@pytest.mark.parametrize("content", [{"version": 2}, {}, [1, 2], torch.zeros(3), {"version": "1"}])
def test_other_versions_are_named(content: Any, tmp_path: Path) -> None:
    file = io.BytesIO()
    torch.save(content, file)
    (tmp_path / "checkpoint").write_bytes(sealed(file.getvalue()))
    with pytest.raises(UsageError, match=r"is of version .*, this avalanche-ssl reads 4: continue with"):
        latest(tmp_path / "checkpoint")


@MANY
@given(junk=st.binary(max_size=300))
@example(junk=b"")
def test_any_bytes_under_a_good_checksum_are_refused(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(sealed(junk))
    with pytest.raises(UsageError):
        latest(tmp_path / "checkpoint")
