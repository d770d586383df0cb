"""Trial images, trial steps and comparisons that the checks share."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl import rng
from avalanche_ssl.checks.snapshot import Snapshot, attributes, changed, describe, tensors
from avalanche_ssl.methods.base import Method, Outputs

SEED = 7
"""Of the generator that every check starts with."""


class _RuleError(Exception):
    """What a check found."""


def textured(count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Different coloured random textures, uint8 (count, 3, size, size), coarse blobs with fine grain."""
    generator = torch.Generator().manual_seed(seed)
    blobs = F.interpolate(torch.rand(count, 3, 4, 4, generator=generator), size=size, mode="bilinear")
    grain = torch.rand(count, 3, size, size, generator=generator)
    return (255 * (0.8 * blobs + 0.2 * grain)).to(torch.uint8)


# -- how they look ---------------------------------------------------------------------------------------------
def _require(holds: object, found: str) -> None:
    if not holds:
        raise _RuleError(found)


def _unchanged(before: Snapshot, after: Snapshot, found: str, remedy: str = "") -> None:
    names = changed(before, after)
    if names:
        name, rest = names[0], f" and {len(names) - 1} more" if len(names) > 1 else ""
        values = f"{describe(before, name)} became {describe(after, name)}"
        raise _RuleError(f"{found} '{name}'{rest} ({values})" + (f": {remedy}" if remedy else ""))


def _require_rows(named: Outputs, kind: str, count: int) -> None:
    for name, tensor in named.items():
        shape = tuple(tensor.shape)
        _require(shape[:1] == (count,), f"{kind} '{name}' of {count} images has shape {shape}: give it a row an image")


def _watched(name: str, function: Callable[[Outputs], object], given: Outputs) -> None:
    before = {key: tensor.detach().clone() for key, tensor in given.items()}
    function(given)
    remedy = "copy before in-place operations"
    _unchanged(before, _detached(given), f"{name} writes into what it is given:", remedy)


def _trial(method: Method) -> Method:
    """A deep copy in train mode, its generator at the start."""
    return _seeded(copy.deepcopy(method).train())


def _rewound(method: Method) -> Method:
    """The method itself, its generator at the start."""
    device = next(method.parameters()).device
    method.generator = torch.Generator(device).manual_seed(SEED)
    return method


def _seeded(method: Method) -> Method:
    """The method itself, its generator at the start, as is the global one (of dropout in an encoder)."""
    rng.seed_all(SEED, cuda=next(method.parameters()).is_cuda)
    return _rewound(method)


def _optimizer(method: Method) -> torch.optim.SGD:
    return torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.02, momentum=0.9)


def _train(method: Method, optimizer: torch.optim.Optimizer, batches: Iterable[Tensor]) -> list[float]:
    """Steps as `SelfSupervised` makes them; gives their losses."""
    losses = []
    for images in batches:
        outputs = method(images)
        loss = _loss(method, outputs)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        method.update(_detached(outputs))
        losses.append(loss.item())
    return losses


def _loss(method: Method, outputs: Outputs) -> Tensor:
    """The loss; that of a method which reads labels with some."""
    if method.num_classes_read:
        rows = next(iter(outputs.values()))
        outputs = outputs | {"labels": torch.arange(len(rows), device=rows.device) % method.num_classes_read}
    return method.loss(outputs)


def _visited(method: Method, images: Tensor) -> Method:
    """The method itself, after a step that moves the trainable parameters without a gradient."""
    outputs = method(images)
    _loss(method, outputs)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(0.01 * parameter.requires_grad)
    method.update(_detached(outputs))
    return method


def _detached(outputs: Outputs) -> Outputs:
    return {name: tensor.detach() for name, tensor in outputs.items()}


def _held(method: Method, statistics: bool = True) -> Snapshot:
    return tensors(method, statistics) | attributes(method)


def _all(method: Method) -> Snapshot:
    """What it holds, and all states of randomness."""
    own = {"generator": method.generator.get_state()} if method.generator else {}
    return _held(method) | own | _global_randomness()


def _shapes(method: Method) -> Snapshot:
    state = method.state_dict()
    return {name: f"{entry.dtype} {tuple(entry.shape)}" for name, entry in state.items()}


def _shuffled(images: Tensor) -> Tensor:
    """A permutation of the images, of another seed: it must not commute with one that the method draws."""
    return torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED + 1)).to(images.device)


def _without_dropout(method: Method) -> Method:
    for module in method.modules():
        if "drop" in type(module).__name__.lower() and module is not method:
            module.eval()
    return method


def _close(a: Tensor, b: Tensor) -> bool:
    """Equal up to rounding; whole numbers exactly."""
    if not b.is_floating_point():
        return torch.equal(a, b)
    return a.shape == b.shape and bool((a - b).abs().max() <= 1e-3 * b.abs().max())


def _mostly_nearest(a: Tensor, b: Tensor) -> bool:
    """Whether, for more than half of the rows of a, the nearest row of b is the one at its own place."""
    if not b.is_floating_point():
        return False
    unknown_name = torch.cdist(a.detach().flatten(1), b.detach().flatten(1)).argmin(1)
    return bool((unknown_name == torch.arange(len(b), device=b.device)).float().mean() > 0.5)


def _global_randomness() -> Snapshot:
    states = rng.capture()
    on_gpus = {f"the global generator of cuda:{i}": state for i, state in enumerate(states.pop("cuda"))}
    return {f"{name}'s global generator": state for name, state in states.items()} | on_gpus


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Leave the global generators as they were; on CUDA, with repeatable convolutions."""
    repeatable = torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False)
    with rng.isolated(), repeatable:
        yield
