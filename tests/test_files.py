"""Files are written whole or not at all; folders are locked."""

import hashlib
import os
import subprocess
import sys
import threading

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import file_sha256, locked, locked_when_free, read_bounded, replacing, split_paths

HOLD = """
import sys
from pathlib import Path
from avalanche_ssl.files import {lock}

with {lock}(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Starts another process that holds a lock on the folder until its input is closed."""
    started = []

    def start(lock):
        code = HOLD.format(lock=lock)
        process = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.communicate()


def test_a_file_is_replaced_and_the_old_one_kept_on_request(tmp_path):
    path, kept = tmp_path / "file", tmp_path / "kept"
    for content in (b"one", b"two", b"three"):
        with replacing(path, keep=kept) as file:
            file.write(content)
    assert path.read_bytes() == b"three" and kept.read_bytes() == b"two"
    with replacing(path) as file:
        file.write(b"four")
    assert path.read_bytes() == b"four" and kept.read_bytes() == b"two"
    assert {p.name for p in tmp_path.iterdir()} == {"file", "kept"}


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_an_error_of_the_disk_is_one_line(tmp_path):
    words = r"cannot write .*file \(No such file or directory\): make room"
    with pytest.raises(UsageError, match=words), replacing(tmp_path / "nowhere" / "file"):
        pass
    words = r"cannot write .*file \(No space left on device\): make room"
    with pytest.raises(UsageError, match=words), replacing(tmp_path / "file"):
        raise OSError(28, "No space left on device")
    assert not os.listdir(tmp_path)


def test_a_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.slow
def test_a_lock_of_another_process_is_refused_with_its_number(tmp_path, holder):
    process = holder("locked")
    words = f"is in use by process {process.pid}: give another --out, or wait"
    with pytest.raises(UsageError, match=words), locked(tmp_path):
        pass
    process.communicate()
    with locked(tmp_path):
        pass


@pytest.mark.slow
def test_a_lock_is_waited_for(tmp_path, holder):
    process, entered = holder("locked_when_free"), threading.Event()

    def enter():
        with locked_when_free(tmp_path):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    process.communicate()
    assert entered.wait(300)
    thread.join()
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_locked_is_not_waited_for(tmp_path):
    with locked_when_free(tmp_path / "nowhere"):
        pass


def test_a_bounded_file_is_read_or_refused_without_reading(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert read_bounded(tmp_path / "a", 3) == b"abc"
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    refused = {"a": (2, "has 0 MiB"), "huge": (9, "has 1,048,576 MiB"), "pipe": (9, "is no file"), "b": (9, "No such")}
    for name, (most, reason) in refused.items():
        with pytest.raises(ValueError, match=reason):
            read_bounded(tmp_path / name, most)


def test_paths_that_are_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert split_paths("a") == ["a"]
    assert split_paths(os.pathsep.join(["a", "b c", "~/d"])) == ["a", "b c", "~/d"]
    assert split_paths(f"a{os.pathsep}") == ["a"]
    (tmp_path / f"a{os.pathsep}b").mkdir()
    assert split_paths(f"a{os.pathsep}b") == [f"a{os.pathsep}b"], "one that exists is whole"
    assert split_paths(tmp_path) == [str(tmp_path)]


def test_the_fingerprint_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 500_000)  # longer than what is read at once
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 500_000).hexdigest()
    with pytest.raises(OSError):
        file_sha256(tmp_path / "b")
