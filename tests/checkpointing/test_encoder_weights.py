"""Weights of an encoder in files."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes.comparison import compare
from crashes.small_run import few_digits
from helpers.damage import damage
from helpers.encoders import tiny
from helpers.resuming import make, save
from hypothesis import given, settings

from avalanche_ssl.checkpointing import file_format, read_encoder, write_encoder
from avalanche_ssl.errors import UsageError


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return tiny().state_dict()


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_written_is_read() -> None:
    write_encoder("encoder.pt", weights())
    assert_same(read_encoder("encoder.pt"), weights())


def test_safetensors_are_written() -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    write_encoder("encoder.safetensors", weights())
    assert_same(safetensors.load_file("encoder.safetensors"), weights())


def test_the_encoder_is_taken_from_a_checkpoint() -> None:
    benchmark = few_digits()
    save(benchmark)
    assert_same(read_encoder("checkpoint"), make(benchmark).model.encoder.state_dict())


@pytest.mark.parametrize(
    ("content", "words"), [({"strategy": {}}, "holds no model"), ({"strategy": {"model": {}}}, "has no encoder")]
)
def test_a_checkpoint_without_an_encoder_is_refused(content: dict[str, object], words: str) -> None:
    file_format.write(Path("checkpoint"), content)
    with pytest.raises(UsageError, match=words):
        read_encoder("checkpoint")


def test_other_files_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"cannot read the encoder nowhere\.pt: No such file"):
        read_encoder("nowhere.pt")
    Path("pickle.pt").write_bytes(pickle.dumps({"a": 1}))
    torch.save({"a": [1]}, "list.pt")
    write_encoder("damaged.pt", weights())
    content = bytearray(Path("damaged.pt").read_bytes())
    content[len(content) // 2] ^= 1
    Path("damaged.pt").write_bytes(content)
    for name, words in (("pickle", "cannot use"), ("list", "more than tensors by name"), ("damaged", "cannot use")):
        with pytest.raises(UsageError, match=words) as error:
            read_encoder(f"{name}.pt")
        assert "\n" not in str(error.value)


def test_without_safetensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(UsageError, match=r"pip install safetensors, or give a file named \.pt"):
        write_encoder("e.safetensors", {"x": torch.zeros(2)})


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("victim"),)


@pytest.mark.parametrize("content", [Evil(), {"x": Evil()}, [torch.zeros(2)], {"x": 1}])
def test_only_tensors_are_read(content: Any) -> None:
    torch.save(content, "encoder.pt")
    with pytest.raises(UsageError, match=r"cannot use encoder\.pt") as error:
        read_encoder("encoder.pt")
    assert "\n" not in str(error.value) and not Path("victim").exists()


@pytest.mark.slow
@settings(max_examples=80)
@given(change=damage())
def test_damaged_weights_are_never_used(change: Callable[[bytes], bytes]) -> None:
    weights = {"a": torch.arange(50.0), "b": torch.ones(3, 4)}
    write_encoder("e.pt", weights)
    Path("e.pt").write_bytes(change(Path("e.pt").read_bytes()))
    try:
        found = read_encoder("e.pt")
    except UsageError as error:
        assert "\n" not in str(error)
    else:  # where nothing was said
        assert not compare(found, weights, "")
