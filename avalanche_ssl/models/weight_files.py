"""Weights of a file, a folder or a package, as data: nothing in them is run."""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import file_sha256

PACKAGES = ("torchvision", "timm")
"""What gives pretrained weights by the name of a network."""
FOLDER_FILES = ("model.safetensors", "encoder.pt")
"""The weights in an exported folder, and in that of a run."""


@dataclass(frozen=True)
class Weights:
    """What a source of weights holds."""

    source: str
    """The source in words: a file, or `torchvision:resnet18`."""
    content: Any
    """Mappings of names to tensors or further mappings."""
    sha256: str
    """Of the file; of weights by name of their tensors."""


def package_of(source: str) -> tuple[str, str] | None:
    """Package and name of `timm`, `timm:NAME`, `torchvision`, `torchvision:NAME`; None for a file."""
    package, _, name = str(source).partition(":")
    return (package, name) if package in PACKAGES else None


def read_weights(source: str | Path, network: str = "") -> Weights:
    """The weights of a source, on the CPU.

    Args:
        source: a file as `torch.save` or safetensors write it, the folder of a run or of an export, or `torchvision`
            or `timm` with or without `:NAME`, whose weights are downloaded.
        network: the name to use where the source gives none.

    Raises:
        UsageError: there is no such file or name, it cannot be read or downloaded, or it holds more than data.
    """
    if named := package_of(str(source)):
        package, name = named
        return _pretrained(package, name or network.partition("(")[0].rpartition(":")[2])
    path = weights_path(source)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the weights {path}: {error.strerror}") from error
    return Weights(str(path), _parse(path, content), hashlib.sha256(content).hexdigest())


def weights_path(source: str | Path) -> Path:
    """The file of weights that a path means: itself, or the one in a folder.

    Raises:
        UsageError: there is none.
    """
    path = Path(source).expanduser()
    found = next((path / name for name in FOLDER_FILES if (path / name).is_file()), None) if path.is_dir() else path
    if found is None or not found.is_file():
        inside = f" that holds {' or '.join(FOLDER_FILES)}" if path.is_dir() else ""
        raise UsageError(f"no weights '{source}': give a file, a folder{inside}, torchvision:NAME or timm:NAME")
    return found


def weights_sha256(source: str | Path, network: str = "") -> str:
    """The `Weights.sha256` of a source; of a file without parsing it.

    Raises:
        UsageError: as `read_weights`.
    """
    if package_of(str(source)):
        return read_weights(source, network).sha256
    path = weights_path(source)
    try:
        return file_sha256(path)
    except OSError as error:
        raise UsageError(f"cannot read the weights {path}: {error.strerror}") from error


def _parse(path: Path, content: bytes) -> Any:
    if content.startswith(b"avalanche-ssl checkpoint"):
        raise UsageError(
            f"{path} is a checkpoint of a run: take its encoder out with avalanche-ssl export {path} --out encoder.pt, "
            "or give --continue-from the folder of the run"
        )
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import load
        except ImportError as error:
            raise UsageError(f"{path}: pip install safetensors, or give a file of torch.save") from error
        try:
            return load(content)
        except Exception as error:  # of safetensors: its own kinds
            raise UsageError(f"cannot use {path}: {_line(error)}") from error
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # DINO's options, which are plain data
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what the unpickler raises for an untrusted file is not documented
        raise UsageError(
            f"cannot use {path}: it holds more than tensors and plain values, or is no file of torch.save "
            f"({_line(error)[:120]}); if you trust it, save its tensors alone in a new file"
        ) from error
    if not isinstance(found, Mapping):
        raise UsageError(f"cannot use {path}: it holds a {type(found).__name__}, not tensors by name")
    return found


def _pretrained(package: str, name: str) -> Weights:
    tensors = _from_torchvision(name) if package == "torchvision" else _from_timm(name)
    found = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        found.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.view(-1).view(torch.uint8).numpy().tobytes())
    return Weights(f"{package}:{name}", tensors, found.hexdigest())


def _from_torchvision(name: str) -> dict[str, Tensor]:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise _no_network("torchvision", name, known)
    try:
        state: dict[str, Tensor] = models.get_model_weights(name).DEFAULT.get_state_dict(check_hash=True)
    except (OSError, RuntimeError) as error:  # OSError: of the network or the disk; RuntimeError: another hash
        raise _no_download("torchvision", name, error) from error
    return dict(state)


def _from_timm(name: str) -> dict[str, Tensor]:
    try:
        import timm
    except ImportError as error:
        raise UsageError(f"weights of timm:{name}: pip install timm, or give a file") from error
    if name not in (known := timm.list_pretrained()) and name not in {entry.partition(".")[0] for entry in known}:
        raise _no_network("timm", name, known)
    try:
        return dict(timm.create_model(name, pretrained=True).state_dict())
    except Exception as error:  # what huggingface_hub and its HTTP client raise is not documented
        raise _no_download("timm", name, error) from error


def _no_network(package: str, name: str, known: list[str]) -> UsageError:
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{package}:{close[0]}'?" if close else f"give {package}:NAME with one of its {len(known)}"
    return UsageError(f"{package} has no pretrained network '{name}': {hint} (resnet18, resnet50, ...), or a file")


def _no_download(package: str, name: str, error: Exception) -> UsageError:
    return UsageError(
        f"cannot download the weights {package}:{name} ({_line(error)[:160]}): download them where there is a network, "
        "and give the file"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
