"""The encoder of a run in the formats of other tools, with the code that loads each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from avalanche_ssl.checkpointing import write_encoder
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing
from avalanche_ssl.methods import Method
from avalanche_ssl.models import Counterpart, counterpart, to_onnx, to_torchscript
from avalanche_ssl.recipes import Recipe


def method_with(recipe: Recipe, weights: Mapping[str, Tensor]) -> Method:
    """The method of a recipe in eval mode, with the weights of an encoder.

    Raises:
        UsageError: they are of another one.
    """
    method = recipe.build_method(0)
    try:
        method.encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"the weights are not of this run's encoder: {' '.join(str(error).split())[:200]}") from error
    return method.eval()


def write_weights(kind: str, out: Path, method: Method) -> str | None:
    """Write an encoder in a format of `avalanche_ssl.cli.export.FORMATS`.

    Args:
        kind: the format.
        out: the file; of "huggingface" the folder, into which only `model.safetensors` is written.
        method: holds the encoder.

    Returns:
        The code that loads it; None: that of `model_card.card`.

    Raises:
        UsageError: the encoder has no such form, a package is missing, or the disk refuses.
    """
    if kind in ("torchvision", "timm"):
        other = counterpart(method.encoder)
        write_encoder(out, other.tensors)
        return _code(kind, other, out.name)
    if kind in ("onnx", "torchscript"):
        content = (to_onnx if kind == "onnx" else to_torchscript)(method.encoder, method.augment.size)
        with replacing(out) as file:
            file.write(content)
        return _block(*(ONNX if kind == "onnx" else TORCHSCRIPT)).replace("FILE", repr(out.name))
    write_encoder(out / "model.safetensors" if kind == "huggingface" else out, method.encoder.state_dict())
    return None


ONNX = ("import onnxruntime", "encoder = onnxruntime.InferenceSession(FILE)",
        'features = encoder.run(None, {"images": images.numpy()})[0]')  # fmt: skip
TORCHSCRIPT = ("import torch", "encoder = torch.jit.load(FILE)")


def _code(package: str, other: Counterpart, file: str) -> str:
    """The network of torchvision or timm with these weights; where ours differs, its layers are replaced."""
    safe = file.endswith(".safetensors")
    lines = ["import torch"]
    if package == "torchvision":
        lines += [f"from torchvision.models import {other.name}"]
        made = [f"encoder = {other.name}()", "encoder.fc = torch.nn.Identity()"]
    else:
        lines += ["import timm"]
        made = [f'encoder = timm.create_model("{other.name}", num_classes=0)']
    kernel, stride, padding = (3, 1, other.stem_padding) if other.small_stem else (7, 2, 3)
    if other.small_stem or other.in_channels != 3:
        made += [f"encoder.conv1 = torch.nn.Conv2d({other.in_channels}, 64, {kernel}, {stride}, {padding}, bias=False)"]
    if other.small_stem:
        made += ["encoder.maxpool = torch.nn.Identity()  # a stem for small images"]
    load = f"load_file({file!r})" if safe else f"torch.load({file!r}, weights_only=True)"
    imported = ["from safetensors.torch import load_file"] if safe else []
    return _block(*lines, *imported, *made, f"encoder.load_state_dict({load}, strict=True)", "encoder.eval()")


def _block(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def write_folder(out: Path, method: Method, recipe: Recipe, config: Mapping[str, Any], card: str) -> None:
    """Write `config.json` and `README.md` next to `model.safetensors`, as Hugging Face's hub shows them.

    Raises:
        UsageError: the disk refuses.
    """
    encoder: Any = method.encoder
    about = {
        "library_name": "avalanche-ssl",
        "library_version": version("avalanche-ssl"),
        "architecture": recipe.encoder,
        "num_features": getattr(encoder, "out_features", None),
        "in_channels": getattr(encoder, "in_channels", None),
        "image_size": getattr(encoder, "image_size", None),
        "view_size": method.augment.size,
        "feature_layer": recipe.feature_layer,
        "image_mean": method.augment.mean,
        "image_std": method.augment.std,
        "strategy": Path(str(config["strategy"])).stem,
        "benchmark": config["benchmark"],
        "seed": config["seed"],
    }
    head = ["---", "library_name: avalanche-ssl", "pipeline_tag: image-feature-extraction", "tags:"]
    head += ["- self-supervised-learning", "- continual-learning", f"- {about['strategy']}", "---", "", ""]
    for name, text in {
        "config.json": json.dumps(about, indent=2, default=str) + "\n",
        "README.md": "\n".join(head) + card,
    }.items():
        with replacing(out / name) as file:
            file.write(text.encode())


def push(folder: Path, repository: str) -> str:
    """Upload an exported folder to Hugging Face's hub, with the account of this machine; its address.

    Raises:
        UsageError: huggingface_hub is not installed, or the hub refuses.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UsageError("--push needs a package: pip install huggingface_hub") from error
    try:
        hub = HfApi()
        hub.create_repo(repository, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=str(folder))
    except Exception as error:  # what the hub's client raises is not documented
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"cannot upload {folder} to {repository} ({reason}): log in with `hf auth login`, or give another name"
        ) from error
    return f"https://huggingface.co/{repository}"


def check_folder(out: Path) -> None:
    """Refuse a folder that holds other files than an export.

    Raises:
        UsageError: names one.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        other = sorted({path.name for path in out.iterdir()} - {"config.json", "model.safetensors", "README.md"})
    except OSError as error:
        raise UsageError(f"cannot write to {out} ({error.strerror}): give another --out") from error
    if other:
        raise UsageError(f"{out} holds other files than an export ({other[0]}): give another --out, empty or new")
