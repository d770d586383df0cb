"""Read and write the weights of an encoder as tensors by name."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from avalanche_ssl.checkpointing.file_format import MAGIC, read
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

PREFIX = "encoder."
"""Prefix of the weights of the encoder among those of a method."""


def read_encoder(path: str | Path) -> dict[str, Tensor]:
    """The weights of an encoder, on the CPU.

    Args:
        path: an `encoder.pt`, or a checkpoint, from which the encoder is taken.

    Raises:
        UsageError: the file cannot be read, is damaged, or holds anything but tensors.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the encoder {path}: {error.strerror}") from error
    if content.startswith(MAGIC):
        return _from_checkpoint(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # torch leaves the checksums unread
            if broken := archive.testzip():
                raise ValueError(f"{broken} is damaged")
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what the readers raise for an untrusted file is not documented
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"cannot use {path}: no weights that a run wrote, or damaged ({reason})") from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise UsageError(f"cannot use {path}: it holds more than tensors by name; give the encoder.pt of a run")
    return {str(name): value for name, value in weights.items()}


def _from_checkpoint(path: Path) -> dict[str, Tensor]:
    state = read(path)
    try:
        weights = {k.removeprefix(PREFIX): v for k, v in state["strategy"]["model"].items() if k.startswith(PREFIX)}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"the checkpoint {path} holds no model: give one that a run wrote") from error
    if not weights:
        raise UsageError(f"the model in {path} has no encoder: give the checkpoint of a Method")
    return weights


def write_encoder(path: str | Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights by name, whole or not at all: a `.safetensors` as safetensors, other files as `torch.save` does.

    Raises:
        UsageError: the disk refuses, or the package safetensors is needed and not installed.
    """
    path = Path(path)
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import save
        except ImportError as error:
            raise UsageError(f"{path}: pip install safetensors, or give a file named .pt") from error
        content = save(copies)
    else:
        buffer = io.BytesIO()  # torch's writer does not report a full disk
        torch.save(copies, buffer)
        content = buffer.getvalue()
    with replacing(path) as file:
        file.write(content)
