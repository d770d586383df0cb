"""Python files that settings name."""

from hashlib import sha256
from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes.python_files import ENCODER, STRATEGY, file_sha256, run_file


def test_a_file_is_run_each_time_or_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("made = object()")
    assert run_file(path, None, STRATEGY).made is not run_file(path, None, STRATEGY).made
    first = run_file(path, None, ENCODER, once=True)
    assert run_file(path, None, ENCODER, once=True) is first
    path.write_text("made = 5")
    assert run_file(path, None, ENCODER, once=True).made == 5, "other content is another module"
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / "mine.py"
    copy.write_text("made = 5")
    assert run_file(copy, None, ENCODER, once=True).__file__ == str(copy)


def test_only_noted_content_is_run_and_a_module_that_was_run_does_not_hide_other_content(tmp_path: Path) -> None:
    path, marker = tmp_path / "mine.py", tmp_path / "marker"
    path.write_text("x = 1")
    noted = file_sha256(path, ENCODER)
    assert noted == sha256(b"x = 1").hexdigest()
    assert run_file(path, noted, ENCODER, once=True).x == 1
    path.write_text(f"open({str(marker)!r}, 'w')")
    with pytest.raises(
        UsageError, match=r"is not the file that was noted .*: give --encoder PATH:NAME to run it as it"
    ):
        run_file(path, noted, ENCODER, once=True)
    assert not marker.exists()


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    with pytest.raises(UsageError, match=r"no encoder file '.*mine.py': give a path to a Python file that defines the"):
        run_file(path, None, ENCODER)
    path.write_text("x = 1\nimport nowhere_at_all")
    with pytest.raises(UsageError, match=r"mine.py, line 2: ModuleNotFoundError: No module named 'nowhere_at_all'"):
        run_file(path, None, ENCODER, once=True)
