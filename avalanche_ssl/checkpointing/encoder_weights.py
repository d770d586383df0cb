"""Read and write an encoder's weights as plain tensors by name."""

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
"""Of the encoder's weights among those of a method."""


def read_encoder(path: str | Path) -> dict[str, Tensor]:
    """The weights of an encoder, on the CPU.

    Args:
        path: an `encoder.pt`, or a checkpoint, whose encoder is taken out.

    Raises:
        UsageError: the file cannot be read, is damaged, or holds anything but tensors.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the encoder {path}: {error.strerror}") from error
    if content.startswith(MAGIC):
        return _out_of_checkpoint(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # torch leaves the checksums unread
            if broken := archive.testzip():
                raise ValueError(f"{broken} is damaged")
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # what the readers raise for a stranger's file is not documented
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"cannot use {path}: no weights written by run.py, or damaged ({reason})") from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise UsageError(f"cannot use {path}: it holds more than tensors by name; give the encoder.pt of a run")
    return {str(name): value for name, value in weights.items()}


def _out_of_checkpoint(path: Path) -> dict[str, Tensor]:
    state = read(path)
    try:
        weights = {k.removeprefix(PREFIX): v for k, v in state["strategy"]["model"].items() if k.startswith(PREFIX)}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"the checkpoint {path} holds no model: give one that a run wrote") from error
    if not weights:
        raise UsageError(f"the model in {path} has no encoder: give the checkpoint of a Method")
    return weights


def write_encoder(path: str | Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights by name, whole or not at all: as safetensors to a `.safetensors`, else as `torch.save` does.

    Raises:
        UsageError: the disk refuses, or the package safetensors is needed and not installed.
    """
    path = Path(path)
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import save
        except ImportError as error:
            raise UsageError(f"{path}: pip install safetensors, or give a file named .pt") from error
        content = save(own)
    else:
        buffer = io.BytesIO()  # torch's writer does not tell a full disk
        torch.save(own, buffer)
        content = buffer.getvalue()
    with replacing(path) as file:
        file.write(content)
