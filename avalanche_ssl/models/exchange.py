"""Encoders as ONNX and TorchScript, checked against the encoder before they are given away."""

from __future__ import annotations

import copy
import io
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder

TOLERANCE = 1e-4
"""Largest difference of features, relative to the largest feature: other libraries add in another order."""


def to_onnx(encoder: nn.Module, size: int) -> bytes:
    """The encoder in eval mode as an ONNX model, `images` to `features`, for any batch and, if it can, any size.

    Args:
        encoder: an `Encoder`; it is left as it was.
        size: height and width of the images that are tried.

    Raises:
        UsageError: a package is missing, the encoder cannot be converted, or onnxruntime gives other features.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  which torch needs to write ONNX
    except ImportError as error:
        raise UsageError("ONNX needs three packages: pip install onnx onnxruntime onnxscript") from error
    network, images = _prepared(encoder, size)
    sizes: dict[int, Any] = {0: "batch"}
    if network.image_size is None:
        sizes |= {2: "height", 3: "width"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch about itself
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                dynamic_shapes=(dict.fromkeys(sizes, torch.export.Dim.DYNAMIC),),
                input_names=["images"],
                output_names=["features"],
                verbose=False,
            )
            content: bytes = program.model_proto.SerializeToString()  # type: ignore[union-attr]
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        features = session.run(None, {"images": _more(images).numpy()})[0]
    except Exception as error:  # what the exporter and the runtime raise is not documented
        raise UsageError(f"this encoder cannot be written as ONNX: {' '.join(str(error).split())[:200]}") from error
    _compare(network, _more(images), torch.from_numpy(features), "onnxruntime")
    return content


def to_torchscript(encoder: nn.Module, size: int) -> bytes:
    """The encoder in eval mode, traced, for any batch; `torch.jit.load` reads it without this package.

    Args:
        encoder: an `Encoder`; it is left as it was.
        size: height and width of the images that are tried.

    Raises:
        UsageError: the encoder cannot be traced, or its trace gives other features.
    """
    network, images = _prepared(encoder, size)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # that tracing is deprecated, and takes sizes of channels as constants
            traced = torch.jit.trace(network, images)  # type: ignore[no-untyped-call]
            torch.jit.save(traced, buffer)
            features = traced(_more(images))
    except Exception as error:  # what the tracer raises is not documented
        raise UsageError(f"this encoder cannot be traced: {' '.join(str(error).split())[:200]}") from error
    _compare(network, _more(images), features, "TorchScript")
    return buffer.getvalue()


def _prepared(encoder: nn.Module, size: int) -> tuple[Encoder, Tensor]:
    """A copy in eval mode, and two images."""
    if not isinstance(encoder, Encoder):
        raise UsageError(
            f"the encoder is a {type(encoder).__name__} of several networks, which is no function of one image: give "
            "--format torch or safetensors"
        )
    height, width = encoder.image_size or (size, size)
    network = copy.deepcopy(encoder).cpu().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    return network, torch.randn(2, encoder.in_channels or 3, height, width, generator=generator)


def _more(images: Tensor) -> Tensor:
    """Another batch: three images."""
    return torch.cat([images, images[:1] + 1])


def _compare(network: Encoder, images: Tensor, found: Tensor, where: str) -> None:
    with torch.no_grad():
        expected = network(images)
    same = found.shape == expected.shape  # a trace may keep the size of the batch
    difference = float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-6)) if same else torch.inf
    if not difference <= TOLERANCE:
        raise UsageError(f"{where} gives other features than torch (they differ by {difference:.1g}): not exported")
