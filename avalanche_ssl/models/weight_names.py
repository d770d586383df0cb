"""Names of weights: those of official checkpoints, of torchvision and of timm, as ours, and ours as torchvision's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoder import Encoder

PREFIXES: dict[str, str] = {
    "": "the network alone: this package, torchvision, timm, SwAV, DeepCluster v2, DINO",
    "encoder_q.": "MoCo v1 and v2",
    "base_encoder.": "MoCo v3",
    "backbone.": "DINO, Barlow Twins, VICReg, SimCLR and other methods of lightly and solo-learn",
    "encoder.": "SimSiam, SimCLR, SupContrast, PIRL of PyContrast, checkpoints of this package's methods",
    "online_encoder.net.": "BYOL of byol-pytorch",
    "online_network.encoder.": "BYOL",
    "online_network.": "BYOL",
    "_feature_blocks.": "VISSL",
    "trunk._feature_blocks.": "VISSL",
    "net.": "wrappers of scripts",
    "model.": "wrappers of scripts",
}
"""What stands before the names of the encoder's tensors, with whose checkpoints have it. Other tensors in the file are
heads, momentum encoders and memories, or not of the network at all."""

NAME_MAPS: dict[str, tuple[tuple[str, str], ...]] = {
    "this package": (),
    "ResNet of torchvision and timm": (
        (r"^conv1\.", "stages.0.0."),
        (r"^bn1\.", "stages.0.1."),
        (r"^layer([1-4])\.", r"stages.\1."),
    ),
    "layers of a ResNet in a Sequential": (
        (r"^0\.", "stages.0.0."),
        (r"^1\.", "stages.0.1."),
        (r"^4\.", "stages.1."),
        (r"^5\.", "stages.2."),
        (r"^6\.", "stages.3."),
        (r"^7\.", "stages.4."),
    ),
    "network in `wrap`": ((r"^", "stages.0."),),
    "ResNet of this package in `wrap`": (
        (r"^stages\.0\.0\.", "stages.0.conv1."),
        (r"^stages\.0\.1\.", "stages.0.bn1."),
        (r"^stages\.([1-4])\.(?=[0-9])", r"stages.0.layer\1."),
    ),
    "CMC": (
        (r"^l_to_ab\.", "l."),
        (r"^ab_to_l\.", "ab."),
        (r"^(l|ab)\.conv1\.", r"\1.stages.0.0."),
        (r"^(l|ab)\.bn1\.", r"\1.stages.0.1."),
        (r"^(l|ab)\.layer([1-4])\.", r"\1.stages.\2."),
    ),
}
"""Regular expressions that turn names of a file into those of an encoder, each applied once."""

COUNTERS = "num_batches_tracked"
"""Counters of batch norm, which old files do not have, and which no feature depends on."""
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:module|_orig_mod)\.")
_DEPTH = 5


@dataclass(frozen=True)
class Match:
    """Which tensors of a file are which of a network."""

    tensors: dict[str, Tensor]
    """Those that fit, by the names of the network."""
    total: int
    """Tensors of the network, counters of batch norm left out."""
    left_out: dict[str, str]
    """Tensors of the network that the file does not have, with why."""
    unused: tuple[str, ...]
    """Names of the tensors in the file that are none of the network's."""
    place: str
    """Where in the file they are, and what stands before their names."""
    layout: str
    """Whose names they have: a key of `NAME_MAPS`."""

    @property
    def taken(self) -> int:
        """Tensors that fit, counters left out."""
        return self.total - len(self.left_out)

    def __str__(self) -> str:
        where = f" from {self.place}" if self.place else ""
        words = f"{self.taken} of {self.total} tensors of the encoder{where} (names of: {self.layout})"
        if self.left_out:
            words += f"; not in it, left as they were: {some(f'{n} ({why})' for n, why in self.left_out.items())}"
        return words + (f"; not used: {len(self.unused)} others, e.g. {self.unused[0]}" if self.unused else "")


def match_names(network: Mapping[str, Tensor], content: Any) -> Match:
    """Find the weights of a network in what a file holds.

    Each mapping with tensors in it is tried with each of `PREFIXES` and each of `NAME_MAPS`; the one that gives most
    tensors is taken, the first of equal ones. DINO's teacher, which its authors evaluate, is before its student.

    Args:
        network: the state of the network, by name.
        content: mappings of names to tensors or further mappings; anything else in it is ignored.
    """
    wanted = {name: tensor for name, tensor in network.items() if not name.endswith(COUNTERS)}
    best, best_key = Match({}, len(wanted), dict.fromkeys(wanted, "not in the file"), (), "", "this package"), (0, 0)
    for path, held in holders(content):
        for names in _spellings(held):
            for prefix in PREFIXES:
                part = {name[len(prefix) :]: own for name, own in names.items() if name.startswith(prefix)}
                for layout, rules in NAME_MAPS.items():
                    found = {mapped: own for name, own in part.items() if (mapped := _renamed(name, rules)) in network}
                    fits = [n for n in wanted if n in found and _same_kind(wanted[n], held[found[n]])]
                    if (key := (len(fits), sum(n in wanted for n in found))) > best_key:
                        best_key = key
                        place = " ".join(f"'{word}'" for word in (path, prefix) if word)
                        best = _match(network, held, found, place, layout)
    if best_key == (0, 0):
        return replace(best, unused=tuple(name for _, held in holders(content) for name in held))
    return best


def holders(content: Any, path: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The mappings that hold tensors by name, with their place; a teacher before a student, no optimizer."""
    if not isinstance(content, Mapping) or not depth:
        return
    tensors = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield path, tensors
    for name in sorted((n for n in content if isinstance(n, str)), key=lambda n: n == "student"):
        if not name.startswith(("optimizer", "lr_scheduler")):
            yield from holders(content[name], f"{path}.{name}" if path else name, depth - 1)


def some(items: Any, count: int = 3) -> str:
    """The first items, and how many more there are."""
    words = list(items)
    return ", ".join(words[:count]) + (f" and {len(words) - count} more" if len(words) > count else "")


def _spellings(held: Mapping[str, Tensor]) -> Iterator[dict[str, str]]:
    """Names to those in the file: as they are, and without what parallel and compiled modules put before them."""
    yield {name: name for name in held}
    shorter = {_WRAPPERS.sub("", name): name for name in held}
    if shorter.keys() != held.keys():
        yield shorter


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name, count=1)
    return name


def _same_kind(own: Tensor, other: Tensor) -> bool:
    return own.shape == other.shape and own.is_floating_point() == other.is_floating_point()


def _match(
    network: Mapping[str, Tensor], held: Mapping[str, Tensor], found: Mapping[str, str], place: str, layout: str
) -> Match:
    fitting, left_out = {}, {}
    for name, own in network.items():
        if name in found and _same_kind(own, held[found[name]]):
            fitting[name] = held[found[name]]
        elif not name.endswith(COUNTERS):
            other = held[found[name]] if name in found else None
            left_out[name] = "not in the file" if other is None else f"has {_size(own)}, in the file {_size(other)}"
    used = {found[name] for name in fitting}
    unused = tuple(name for name in held if name not in used and not name.endswith(COUNTERS))
    total = sum(not name.endswith(COUNTERS) for name in network)
    return Match(fitting, total, left_out, unused, place, layout)


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


RESNETS = {
    (BasicBlock, (2, 2, 2, 2)): "resnet18",
    (BasicBlock, (3, 4, 6, 3)): "resnet34",
    (Bottleneck, (3, 4, 6, 3)): "resnet50",
}
"""Names of torchvision and timm for a ResNet of these blocks."""


@dataclass(frozen=True)
class Counterpart:
    """The network of torchvision or timm that an encoder is."""

    name: str
    """Its name there."""
    tensors: dict[str, Tensor]
    """The encoder's, by its names, in its order."""
    in_channels: int
    small_stem: bool
    """Whether the first convolution is 3x3 with stride 1 and no pooling follows, unlike there."""
    stem_padding: int


def counterpart(encoder: nn.Module) -> Counterpart:
    """The ResNet of torchvision and timm that is this encoder, without its classifier.

    Raises:
        UsageError: there is none, and why.
    """
    stages = list(getattr(encoder, "stages", ())) if isinstance(encoder, Encoder) else []
    blocks: list[Any] = [list(stage) if isinstance(stage, nn.Sequential) else [] for stage in stages]
    kinds = {type(block) for part in blocks[1:] for block in part}
    name = RESNETS.get((kinds.pop() if len(kinds) == 1 else None, tuple(map(len, blocks[1:]))))  # type: ignore[arg-type]
    if name is None or not blocks[0]:
        raise UsageError(
            f"this encoder is none of torchvision's and timm's ResNets ({', '.join(RESNETS.values())}): "
            "give --format torch, safetensors or onnx"
        )
    stem = blocks[0]
    first: nn.Conv2d = stem[0]
    if first.out_channels != 64:
        raise UsageError(
            f"torchvision's and timm's {name} begins with 64 channels, this one with {first.out_channels}: give "
            "--format torch, safetensors or onnx"
        )
    norms = {type(module).__name__ for module in encoder.modules() if "Norm" in type(module).__name__}
    if not norms or any(not isinstance(m, nn.BatchNorm2d) for m in encoder.modules() if "Norm" in type(m).__name__):
        raise UsageError(
            f"torchvision's and timm's {name} has batch norm, this one {', '.join(sorted(norms)) or 'no norm'}: give "
            "--format torch, safetensors or onnx"
        )
    tensors = {_foreign(own): tensor for own, tensor in encoder.state_dict().items()}
    small = first.kernel_size == (3, 3)
    return Counterpart(name, tensors, first.in_channels, small, int(first.padding[0]))


def _foreign(name: str) -> str:
    """The name in torchvision and timm of a tensor of ours."""
    rules = ((r"^stages\.0\.0\.", "conv1."), (r"^stages\.0\.1\.", "bn1."), (r"^stages\.", "layer"))
    return next(re.sub(pattern, new, name) for pattern, new in rules if re.match(pattern, name))
