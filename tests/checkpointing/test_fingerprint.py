"""Settings and versions that a resumed run must share."""

from pathlib import Path

import pytest
import torch
from crashes.small_run import few_digits
from helpers.resuming import checkpointer, make, save

from avalanche_ssl.checkpointing import file_format, fingerprint
from avalanche_ssl.checkpointing.fingerprint import check_same, package_versions, settings_hash, strategy_settings
from avalanche_ssl.errors import UsageError


def test_the_same_settings_pass() -> None:
    check_same({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1})


def test_settings_of_a_strategy_are_plain() -> None:
    settings = strategy_settings(make(few_digits()), [72, 72])
    assert settings["method"] == "MoCo" and settings["optimizer"] == "SGD" and settings["images"] == [72, 72]
    assert settings["schedule"] == {"kind": "cosine", "warmup": 0.0, "final": 0.0}
    assert settings_hash(settings) == settings_hash(dict(reversed(settings.items()))) != settings_hash({})


def test_versions_are_those_of_the_packages() -> None:
    assert package_versions()["avalanche-lib"] == "0.6.0"


def test_changed_settings_are_named() -> None:
    benchmark = few_digits()
    save(benchmark)
    other = make(benchmark, train_mb_size=8)
    with pytest.raises(UsageError) as error:
        checkpointer(other, benchmark, config={"lr": 2, "deep": {}, "new": 5}).resume()
    for difference in (
        "deep.a was 1, is absent",
        "lr was 1, is 2",
        "new was absent, is 5",
        "train_mb_size was 16, is 8",
    ):
        assert difference in str(error.value)
    assert "epochs" not in str(error.value)


def test_other_versions_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = few_digits()
    save(benchmark)
    monkeypatch.setattr(fingerprint, "package_versions", lambda: {"torch": "9"})
    resumed = checkpointer(make(benchmark), benchmark)
    with pytest.warns(UserWarning, match=r"started with torch 2.*, now 9: results may differ in the last bits"):
        assert resumed.resume()


@pytest.mark.parametrize(("versions", "shown"), [({"avalanche-ssl": "0.0.9"}, "0.0.9"), ({}, "of an unknown version")])
def test_another_version_of_this_package_is_refused(versions: dict[str, str], shown: str) -> None:
    benchmark = few_digits()
    save(benchmark)
    path = Path("checkpoint")
    saved = file_format.read(path)
    assert saved["versions"].pop("avalanche-ssl") == fingerprint.version("avalanche-ssl")
    file_format.write(path, saved | {"versions": saved["versions"] | versions})
    words = (
        f"the checkpoint was written by avalanche-ssl {shown}, this is {fingerprint.version('avalanche-ssl')}: install"
    )
    with pytest.raises(UsageError, match=words):
        checkpointer(make(benchmark), benchmark).resume()


def test_another_number_of_threads_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = few_digits()
    save(benchmark)
    resumed = checkpointer(make(benchmark), benchmark)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.warns(UserWarning, match=r"started with 1 thread, now 7: results may differ in the last bits"):
        assert resumed.resume()
