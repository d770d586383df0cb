"""Trial images, training steps and comparisons for the checks."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl import rng
from avalanche_ssl.checks.snapshot import Snapshot, attributes, changed, describe, tensors
from avalanche_ssl.methods import Method, Outputs

SEED = 7
"""Seed of the generator at the start of every check."""


class RuleError(Exception):
    """Finding of a check: what breaks the rule, and the remedy."""


def textured(count: int, size: int = 32, seed: int = 0, channels: int = 3) -> Tensor:
    """Different random textures, uint8 (count, channels, size, size): coarse blobs with fine grain."""
    generator = torch.Generator().manual_seed(seed)
    blobs = F.interpolate(torch.rand(count, channels, 4, 4, generator=generator), size=size, mode="bilinear")
    grain = torch.rand(count, channels, size, size, generator=generator)
    return (255 * (0.8 * blobs + 0.2 * grain)).to(torch.uint8)


def require(holds: object, found: str) -> None:
    """Raise a `RuleError` with the finding unless the condition holds."""
    if not holds:
        raise RuleError(found)


def require_unchanged(before: Snapshot, after: Snapshot, found: str, remedy: str = "") -> None:
    """Raise a `RuleError` that names the first entry that differs between two snapshots."""
    names = changed(before, after)
    if names:
        name, rest = names[0], f" and {len(names) - 1} more" if len(names) > 1 else ""
        values = f"{describe(before, name)} became {describe(after, name)}"
        raise RuleError(f"{found} '{name}'{rest} ({values})" + (f": {remedy}" if remedy else ""))


def require_rows(named: Outputs, kind: str, count: int) -> None:
    """Raise a `RuleError` unless every tensor has one row per image."""
    for name, tensor in named.items():
        shape = tuple(tensor.shape)
        require(shape[:1] == (count,), f"{kind} '{name}' of {count} images has shape {shape}: give one row per image")


def require_inputs_unchanged(name: str, function: Callable[[Outputs], object], given: Outputs) -> None:
    """Call a function, and raise a `RuleError` if it writes to the tensors it is given."""
    before = {key: tensor.detach().clone() for key, tensor in given.items()}
    function(given)
    remedy = "copy before in-place operations"
    require_unchanged(before, detached(given), f"{name} writes to the tensors it is given:", remedy)


def trial_copy(method: Method) -> Method:
    """A deep copy in train mode, with its generator at the start."""
    return seeded(copy.deepcopy(method).train())


def rewound(method: Method) -> Method:
    """The method itself, with its generator at the start."""
    device = next(method.parameters()).device
    method.generator = torch.Generator(device).manual_seed(SEED)
    return method


def seeded(method: Method) -> Method:
    """The method itself, with its generator and the global ones (read by dropout in an encoder) at the start."""
    rng.seed_all(SEED, cuda=next(method.parameters()).is_cuda)
    return rewound(method)


def trial_optimizer(method: Method) -> torch.optim.SGD:
    """SGD with momentum for the trainable parameters."""
    return torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=0.02, momentum=0.9)


def train(method: Method, optimizer: torch.optim.Optimizer, batches: Iterable[Tensor]) -> list[float]:
    """Make steps as `SelfSupervised` does; returns their losses."""
    losses = []
    for images in batches:
        outputs = method(images)
        loss = loss_of(method, outputs)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        method.update(detached(outputs))
        losses.append(loss.item())
    return losses


def loss_of(method: Method, outputs: Outputs) -> Tensor:
    """The loss of outputs, with made-up labels for a method that reads them."""
    if method.num_classes_read:
        rows = next(iter(outputs.values()))
        outputs = outputs | {"labels": torch.arange(len(rows), device=rows.device) % method.num_classes_read}
    return method.loss(outputs)


def after_one_step(method: Method, images: Tensor) -> Method:
    """The method itself, after a step that moves the trainable parameters without a gradient."""
    outputs = method(images)
    loss_of(method, outputs)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(0.01 * parameter.requires_grad)
    method.update(detached(outputs))
    return method


def detached(outputs: Outputs) -> Outputs:
    """The outputs without gradient."""
    return {name: tensor.detach() for name, tensor in outputs.items()}


def held_state(method: Method, statistics: bool = True) -> Snapshot:
    """Tensors and plain attributes of the method; optionally without batch-norm statistics."""
    return tensors(method, statistics) | attributes(method)


def full_state(method: Method) -> Snapshot:
    """The state of the method and of all random generators."""
    own = {"generator": method.generator.get_state()} if method.generator else {}
    return held_state(method) | own | global_random_states()


def state_shapes(method: Method) -> Snapshot:
    """Types and shapes in `state_dict`."""
    state = method.state_dict()
    return {name: f"{entry.dtype} {tuple(entry.shape)}" for name, entry in state.items()}


def permutation(images: Tensor) -> Tensor:
    """A permutation of the images with another seed, so that it does not commute with one drawn by the method."""
    return torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED + 1)).to(images.device)


def without_dropout(method: Method) -> Method:
    """The method itself, with its dropout layers in eval mode."""
    for module in method.modules():
        if "drop" in type(module).__name__.lower() and module is not method:
            module.eval()
    return method


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal up to rounding; integers exactly."""
    if not b.is_floating_point():
        return torch.equal(a, b)
    return a.shape == b.shape and bool((a - b).abs().max() <= 1e-3 * b.abs().max())


def mostly_nearest(a: Tensor, b: Tensor) -> bool:
    """Whether, for more than half of the rows of `a`, the nearest row of `b` is the one at the same index."""
    if not b.is_floating_point():
        return False
    nearest = torch.cdist(a.detach().flatten(1), b.detach().flatten(1)).argmin(1)
    return bool((nearest == torch.arange(len(b), device=b.device)).float().mean() > 0.5)


def global_random_states() -> Snapshot:
    """States of all global generators, by name."""
    states = rng.capture()
    on_gpus = {f"the global generator of cuda:{i}": state for i, state in enumerate(states.pop("cuda"))}
    return {f"{name}'s global generator": state for name, state in states.items()} | on_gpus


@contextmanager
def isolated_randomness() -> Iterator[None]:
    """Restore the global generators afterwards; on CUDA, use deterministic convolutions."""
    repeatable = torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False)
    with rng.isolated(), repeatable:
        yield
