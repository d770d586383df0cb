"""Weights of an encoder in files."""

import pickle
from pathlib import Path

import pytest
import torch
from crashes.small_run import few_digits
from helpers.encoders import tiny
from helpers.resuming import make, save

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
