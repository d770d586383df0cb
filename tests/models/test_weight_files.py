"""Sources of weights: files as data, folders, and downloads with a stand-in for the network."""

import argparse
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from torchvision.models import ResNet18_Weights, WeightsEnum

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import package_of, read_weights, weights_path, weights_sha256

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same(found: Any) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_files_of_torch_and_of_safetensors() -> None:
    from safetensors.torch import save_file

    torch.save(STATE, "a.pt")
    torch.save(STATE, "old.pth.tar", _use_new_zipfile_serialization=False)
    save_file(STATE, "a.safetensors")
    for file in ("a.pt", "old.pth.tar", "a.safetensors"):
        found = read_weights(file)
        assert same(found.content) and found.source == file
        assert found.sha256 == weights_sha256(file) == hashlib.sha256(Path(file).read_bytes()).hexdigest()


@pytest.mark.parametrize("file", ["encoder.pt", "model.safetensors"])
def test_the_weights_in_a_folder(file: str) -> None:
    from safetensors.torch import save_file

    Path("run").mkdir()
    (torch.save if file.endswith(".pt") else save_file)(STATE, f"run/{file}")
    assert weights_path("run") == Path("run") / file and same(read_weights("run").content)


def test_options_of_argparse_are_data() -> None:
    """As DINO's checkpoints hold them."""
    torch.save({"teacher": STATE, "args": argparse.Namespace(arch="vit_small", lr=0.1)}, "dino.pth")
    assert same(read_weights("dino.pth").content["teacher"])


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_run(zipped: bool) -> None:
    torch.save(STATE | {"x": Evil()}, "evil.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UsageError, match=r"cannot use evil.pt: it holds more than tensors and plain values") as error:
        read_weights("evil.pt")
    assert not Path("ran").exists() and "\n" not in str(error.value)


def test_what_holds_no_weights() -> None:
    torch.save(torch.zeros(2), "tensor.pt")
    Path("pickle.pt").write_bytes(pickle.dumps([1]))
    Path("noise.safetensors").write_bytes(b"noise")
    Path("empty").mkdir()
    Path("checkpoint").write_bytes(b"avalanche-ssl checkpoint\n...")
    for file, words in {
        "tensor.pt": "it holds a Tensor, not tensors by name",
        "pickle.pt": "cannot use pickle.pt",
        "noise.safetensors": "cannot use noise.safetensors",
        "empty": "no weights 'empty': give a file, a folder that holds model.safetensors or encoder.pt",
        "nowhere.pt": "no weights 'nowhere.pt': give a file",
        "checkpoint": "avalanche-ssl export checkpoint --out encoder.pt",
    }.items():
        with pytest.raises(UsageError) as error:
            read_weights(file)
        assert words in str(error.value) and "\n" not in str(error.value)


def test_names_of_packages() -> None:
    assert package_of("timm") == ("timm", "") and package_of("torchvision:resnet18") == ("torchvision", "resnet18")
    assert package_of("timm/model.pt") is None and package_of("runs/a") is None


def test_torchvision_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(self: WeightsEnum, *given: Any, **options: Any) -> Any:
        asked.append((self, options))
        return STATE

    monkeypatch.setattr(WeightsEnum, "get_state_dict", download)
    found = read_weights("torchvision", "resnet18")
    assert same(found.content) and found.source == "torchvision:resnet18"
    assert asked == [(ResNet18_Weights.DEFAULT, {"check_hash": True})]
    assert read_weights("torchvision:resnet50", "resnet18").source == "torchvision:resnet50"
    assert read_weights("torchvision", "torchvision:resnet34(zero_init=True)").source == "torchvision:resnet34"
    assert found.sha256 == weights_sha256("torchvision", "resnet18")
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda *_, **__: STATE | {"n": torch.tensor(4)})
    assert found.sha256 != weights_sha256("torchvision:resnet18"), "the fingerprint is of the tensors"


def test_timm_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")

    def create(name: str, pretrained: bool = False, **_: Any) -> Any:
        assert (name, pretrained) == ("resnet18", True)
        return torchvision.models.resnet18()

    monkeypatch.setattr(timm, "create_model", create)
    assert read_weights("timm", "resnet18").content.keys() == torchvision.models.resnet18().state_dict().keys()


def test_timm_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UsageError, match="weights of timm:resnet18: pip install timm, or give a file"):
        read_weights("timm:resnet18")


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_a_name_without_weights_is_refused_with_the_nearest(package: str) -> None:
    if package == "timm":
        pytest.importorskip("timm")
    with pytest.raises(UsageError) as error:
        read_weights(f"{package}:resnet19")
    assert f"{package} has no pretrained network 'resnet19': did you mean '{package}:resnet" in str(error.value)
    with pytest.raises(UsageError, match="has no pretrained network 'smallconv'"):
        read_weights(package, "smallconv")


def test_weights_that_cannot_be_downloaded_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise URLError("no route to host")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    with pytest.raises(UsageError, match=r"cannot download the weights torchvision:resnet18 .*no route to host.*file"):
        read_weights("torchvision:resnet18")
    timm = pytest.importorskip("timm")
    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(UsageError, match="cannot download the weights timm:resnet18"):
        read_weights("timm:resnet18")
