"""Does a method keep the contract? `check_method` tells, for any method, and names the rule that is broken.

Each rule is a small function over a method in train mode, with its own seeded generator, and a batch of raw images.
"""

import copy
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods.base import Method, Outputs
from avalanche_ssl.snapshots import Snapshot, attributes, changed, describe, equal, tensors

Check = Callable[[Method, Tensor], None]

SEED = 7
"""Of the generator that every check starts with."""


class ContractError(AssertionError):
    """A method breaks a rule of the contract: says which method, which rule, what was found, and the remedy."""


class _RuleError(Exception):
    """What a check found."""


def check_method(method: Method, images: Tensor | None = None) -> None:
    """Run every check in `CHECKS` over deep copies of a method; the method and all global state stay as they are.

    Args:
        method: any method, at the beginning of its life or later.
        images: raw uint8 (B, C, H, W), at least 6 and all different. None: 16 textured ones, (16, 3, 32, 32).

    Raises:
        ContractError: a rule is broken; the first that is broken is named.
        UsageError: the images are not as described.
    """
    device = next(method.parameters()).device
    images = (textured(16) if images is None else images).to(device)
    if images.dtype != torch.uint8 or images.ndim != 4 or len(torch.unique(images, dim=0)) < max(6, len(images)):
        found = f"{images.dtype} {tuple(images.shape)}"
        raise UsageError(f"check_method needs 6 or more different raw images, uint8 (B, C, H, W), not {found}")
    for check in CHECKS:
        with _own_randomness(device):
            try:
                check(_trial(method), images.clone())
            except Exception as error:
                found = f"{error}" if isinstance(error, _RuleError) else f"{type(error).__name__}: {error}"
                message = f'{type(method).__name__} breaks "{check.__name__}": {found}'
                raise ContractError(message) from (None if isinstance(error, _RuleError) else error)


def textured(count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Different coloured random textures, uint8 (count, 3, size, size), coarse blobs with fine grain."""
    generator = torch.Generator().manual_seed(seed)
    blobs = F.interpolate(torch.rand(count, 3, 4, 4, generator=generator), size=size, mode="bilinear")
    grain = torch.rand(count, 3, size, size, generator=generator)
    return (255 * (0.8 * blobs + 0.2 * grain)).to(torch.uint8)


# -- the rules ------------------------------------------------------------------------------------------------


def copies_are_independent(method: Method, images: Tensor) -> None:
    """A deep copy equals its original and shares nothing with it."""
    twin, before = _trial(method), tensors(method) | attributes(method)
    _unchanged(before, tensors(twin) | attributes(twin), "deepcopy changed")
    _visited(twin, images)
    for tensor in twin.state_dict().values():
        tensor.zero_()
    remedy = "build what the method writes to in __init__, as its own"
    _unchanged(before, tensors(method) | attributes(method), "writing to a deep copy changed", remedy)


def features_are_finite_rows(method: Method, images: Tensor) -> None:
    """`represent` gives float32 (B, D), finite and the same each time, in eval mode."""
    features = method.eval().represent(images)
    shape = f"{features.dtype} {tuple(features.shape)}"
    _require(features.ndim == 2 and len(features) == len(images), f"represent gives {shape}: give (B, D)")
    _require(features.dtype == torch.float32, f"represent gives {shape}: give float32")
    _require(features.isfinite().all(), "represent gives values that are not finite")
    again = method.represent(images)
    _require(equal(features, again), "represent differs from call to call: use augment.plain, not random views")


def features_belong_to_their_images(method: Method, images: Tensor) -> None:
    """In eval mode, row i of the features depends on image i only: not on its place, nor on the other images."""
    features = method.eval().represent(images)
    order = _shuffled(images)
    remedy = "read the encoder in eval mode and keep the order of the rows"
    moved = _close(method.represent(images[order]), features[order])
    _require(moved, f"permuting the images does not permute the features: {remedy}")
    alone = _close(method.represent(images[:3]), features[:3])
    _require(alone, f"the features of an image depend on the others of its batch: {remedy}")


def bytes_and_floats_are_the_same_images(method: Method, images: Tensor) -> None:
    """uint8 images, and the same images as float in [0, 1], have the same features."""
    features = method.eval().represent(images)
    same = _close(method.represent(images.float() / 255), features)
    _require(same, "uint8 images and the same as float in [0, 1] differ: bring both to [0, 1] with to_float")


def evaluating_changes_nothing(method: Method, images: Tensor) -> None:
    """In eval mode, `represent` leaves parameters, buffers, modes and random states bit for bit as they were."""
    _visited(method, images).eval()
    before, modes = _all(method), [module.training for module in method.modules()]
    method.represent(images)
    _unchanged(before, _all(method), "represent in eval mode changed")
    _require(modes == [module.training for module in method.modules()], "represent switches to train mode")


def only_update_writes(method: Method, images: Tensor) -> None:
    """`views`, `embed` and `loss` change nothing the method holds; in train mode, batch-norm statistics aside."""
    _visited(method, images)
    remedy = "write to the memory in update only"
    for mode in (True, False):
        method.train(mode)
        before = _held(method, statistics=not mode)
        views = method.views(images)
        _unchanged(before, _held(method, statistics=not mode), "views changed", remedy)
        outputs = method.embed(views)
        _unchanged(before, _held(method, statistics=not mode), "embed changed", remedy)
        for result in (outputs, _detached(method(images[:5]))):  # as plugins do that evaluate the loss once more
            _loss(method, result)
            _unchanged(before, _held(method, statistics=not mode), "loss changed", remedy)


def inputs_are_left_alone(method: Method, images: Tensor) -> None:
    """No method writes into the tensors it is given, raw images (uint8 or float), views or outputs."""
    for x in (images, images.float() / 255):
        given = x.clone()
        method.represent(x)
        _require(equal(x, given), "represent writes into the images it is given: copy before in-place operations")
        views = method.views(x)
        _require(equal(x, given), "views writes into the images it is given: copy before in-place operations")
    _watched("embed", method.embed, views)
    outputs = method.embed(views)
    _watched("loss", partial(_loss, method), outputs)
    outputs = _detached(outputs)
    _watched("update", method.update, outputs)
    before = tensors(method)
    for tensor in outputs.values():
        tensor.zero_()
    _unchanged(before, tensors(method), "update keeps the given outputs themselves as", "copy them into a buffer")


def views_are_random(method: Method, images: Tensor) -> None:
    """Views are finite, without gradient, differ from call to call, and two views of a batch differ."""
    views, again = method.views(images), method.views(images)
    floats = [name for name, view in views.items() if view.is_floating_point()]
    _require(floats, "views gives no float tensor: give the views as named tensors")
    for name in floats:
        _require(views[name].isfinite().all(), f"view '{name}' is not finite")
        _require(not views[name].requires_grad, f"view '{name}' requires a gradient: make views without")
    remedy = "draw with self.generator in every call"
    _require(any(not equal(views[n], again[n]) for n in floats), f"views are the same in every call: {remedy}")
    for a, b in combinations(floats, 2):
        _require(not equal(views[a], views[b]), f"views '{a}' and '{b}' are the same: draw each anew")


def views_belong_to_their_images(method: Method, images: Tensor) -> None:
    """Changing image i, with the same draws, changes row i of the views and no other; each has B rows."""
    views = _seeded(method).views(images)
    _require_rows(views, "view", len(images))
    followed = set()
    for i in range(len(images)):
        edited = images.clone()
        edited[i] = 255 - images[i].flip(0)
        for name, view in _seeded(method).views(edited).items():
            differs = (view != views[name]).reshape(len(images), -1).any(1)
            others = differs.clone()
            others[i] = False
            found = f"changing image {i} changes row {others.int().argmax()} of view '{name}'"
            _require(not others.any(), f"{found}: keep row i of every view for image i")
            followed |= {name} if differs[i] else set()
    for name, view in views.items():
        blind = view.is_floating_point() and name not in followed
        _require(not blind, f"view '{name}' does not change with the images")


def embeddings_belong_to_their_images(method: Method, images: Tensor) -> None:
    """Permuting the rows of the views permutes the rows of the outputs; each has B rows.

    In eval mode up to rounding. In train mode, where images may share statistics in groups, most rows must still be
    nearest to their own image's.
    """
    views, order = method.views(images), _shuffled(images)
    for mode in (True, False):
        straight = _seeded(_without_dropout(method.train(mode))).embed(views)
        _require_rows(straight, "output", len(images))
        moved = _seeded(method).embed({name: view[order] for name, view in views.items()})
        for name, rows in straight.items():
            kept = _close(moved[name], rows[order]) or (mode and _mostly_nearest(moved[name], rows[order]))
            found = f"permuting the views does not permute output '{name}' in {'train' if mode else 'eval'} mode"
            _require(kept, f"{found}: keep row i for image i (un-shuffle exactly once)")


def loss_is_a_finite_scalar(method: Method, images: Tensor) -> None:
    """The loss is 0-d, float32, finite and has a gradient, with an empty memory as later."""
    optimizer = _optimizer(method)
    for _ in range(3):
        loss = _loss(method, method(images))
        _require(loss.ndim == 0, f"the loss has shape {tuple(loss.shape)}: reduce it to a 0-d tensor")
        _require(loss.dtype == torch.float32, f"the loss is {loss.dtype}: compute it in float32")
        _require(loss.isfinite(), f"the loss is {loss.item()}")
        _require(loss.requires_grad, "the loss has no gradient: nothing learns")
        _train(method, optimizer, [images])


def gradient_reaches_the_encoder(method: Method, images: Tensor) -> None:
    """After some steps, every trainable parameter of the encoder gets a gradient, and each part one that is not 0."""
    _train(method, _optimizer(method), [images, images])
    method.zero_grad()
    _loss(method, method(images)).backward()  # type: ignore[no-untyped-call]
    trainable = {name: p for name, p in method.encoder.named_parameters() if p.requires_grad}
    _require(trainable, "the encoder has no trainable parameter")
    for name, parameter in trainable.items():
        _require(parameter.grad is not None, f"no gradient reaches 'encoder.{name}': is it detached or unused?")
    for part in {name.split(".")[0] for name in trainable}:
        gradients = [p.grad for name, p in trainable.items() if name.split(".")[0] == part]
        alive = any(g is not None and g.count_nonzero() for g in gradients)
        _require(alive, f"all gradients of 'encoder.{part}' are 0: does the loss depend on its embeddings?")


def batches_of_any_size_work(method: Method, images: Tensor) -> None:
    """A step with 2 images, and with more than before, gives a finite loss, first or later."""
    for sizes in ((2, 5, 33), (33, 2)):
        twin = _trial(method)
        enough = images.repeat(33 // len(images) + 1, 1, 1, 1)
        losses = _train(twin, _optimizer(twin), [enough[:size] for size in sizes])
        _require(all(map(math.isfinite, losses)), f"losses of batches of {sizes} images are {losses}")


def memory_is_in_the_state_dict(method: Method, images: Tensor) -> None:
    """What `update` writes is in `state_dict`, and no tensor hides in a plain attribute."""
    optimizer = _optimizer(method)
    for batch in (images, images[:5], images):
        _train(method, optimizer, [batch])
        for name, value in attributes(method).items():
            hidden = f"'{name}' is a tensor in a plain attribute"
            _require(not isinstance(value, Tensor), f"{hidden}: register it as a buffer, or its module as a child")
        outputs, before = _detached(method(batch)), tensors(method)
        method.update(outputs)
        lost = [name for name in changed(before, tensors(method)) if name not in method.state_dict()]
        names = ", ".join(lost)
        _require(not lost, f"update writes to '{names}', which is not persistent: register it without persistent=False")


def counters_are_tensors(method: Method, images: Tensor) -> None:
    """`prepare` and `update` change no number, list or other plain attribute of any submodule."""
    for batch in (images, images[:5], images):
        before = attributes(method)
        method.prepare(iter((batch,)))
        remedy = "register it as a buffer in __init__ (a counter: torch.zeros((), dtype=torch.long))"
        _unchanged(before, attributes(method), "prepare changed plain attribute", remedy)
        outputs, before = _detached(method(batch)), attributes(method)
        method.update(outputs)
        _unchanged(before, attributes(method), "update changed plain attribute", remedy)


def shapes_never_change(method: Method, images: Tensor) -> None:
    """Names, shapes and types in `state_dict` stay, whatever batches come: made in `__init__`, and bounded."""
    before, optimizer = _shapes(method), _optimizer(method)
    for batch in (images, images[:5], images.repeat(2, 1, 1, 1), images):
        method.prepare(iter((batch,)))
        _train(method, optimizer, [batch])
        remedy = "register it in __init__ with its final shape"
        _unchanged(before, _shapes(method), "after some steps, state_dict has changed", remedy)


def randomness_comes_from_the_generator(method: Method, images: Tensor) -> None:
    """With `generator` in the same state, views, loss and update repeat exactly, and draw from nowhere else."""
    _train(method, _optimizer(method), [images, images])
    outputs = _detached(method(images))
    twin, remedy = _trial(method), "draw with generator=self.generator, from no other source"
    calls: dict[str, Callable[[Method], Snapshot]] = {
        "views": lambda model: {**model.views(images)},
        "loss": lambda model: {"loss": _loss(model, outputs)},
        "update": lambda model: model.update(outputs) or tensors(model),  # type: ignore[func-returns-value]
    }
    for name, call in calls.items():
        before = _global_randomness(images)
        first = call(_rewound(method))
        _unchanged(before, _global_randomness(images), f"{name} draws from", remedy)
        again = call(_rewound(twin))
        _unchanged(first, again, f"{name} does not repeat with the same state of the generator:", remedy)


def a_fresh_copy_continues_bit_for_bit(method: Method, images: Tensor) -> None:
    """A fresh method that loads `state_dict` goes on with the same losses to the same state, bit for bit."""
    fresh, optimizer = _trial(method), _optimizer(method)
    _train(method, optimizer, [images, images[:5], images])
    fresh.load_state_dict(method.state_dict())
    resumed = _optimizer(fresh)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # it would share the momentum buffers
    runs = []
    for model, its_optimizer in ((method, optimizer), (fresh, resumed)):
        _seeded(model).prepare(iter((images,)))
        runs.append(_train(model, its_optimizer, [images[3:], images, images]))
    found = f"losses {runs[0]}, of a fresh copy that loaded state_dict {runs[1]}"
    _require(runs[0] == runs[1], f"{found}: keep everything that is remembered in parameters and buffers")
    _unchanged(tensors(method), tensors(fresh), "a fresh copy that loaded state_dict went on with another")


CHECKS: tuple[Check, ...] = (
    copies_are_independent,
    features_are_finite_rows,
    features_belong_to_their_images,
    bytes_and_floats_are_the_same_images,
    evaluating_changes_nothing,
    only_update_writes,
    inputs_are_left_alone,
    views_are_random,
    views_belong_to_their_images,
    embeddings_belong_to_their_images,
    loss_is_a_finite_scalar,
    gradient_reaches_the_encoder,
    batches_of_any_size_work,
    memory_is_in_the_state_dict,
    counters_are_tensors,
    shapes_never_change,
    randomness_comes_from_the_generator,
    a_fresh_copy_continues_bit_for_bit,
)
"""Every rule, the causes before their consequences: the first that is broken is the one to repair."""


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
    random.seed(SEED)
    np.random.seed(SEED)
    torch.default_generator.manual_seed(SEED)
    if next(method.parameters()).is_cuda:
        torch.cuda.manual_seed(SEED)
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
    if method.reads_labels:
        rows = next(iter(outputs.values()))
        outputs = outputs | {"labels": torch.arange(len(rows), device=rows.device) % method.reads_labels}
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
    device_of = next(method.parameters())
    return _held(method) | own | _global_randomness(device_of)


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
    nearest = torch.cdist(a.detach().flatten(1), b.detach().flatten(1)).argmin(1)
    return bool((nearest == torch.arange(len(b), device=b.device)).float().mean() > 0.5)


def _global_randomness(images: Tensor) -> Snapshot:
    states: Snapshot = {"torch's global generator": torch.get_rng_state()}
    states |= {"numpy's global generator": np.random.get_state(), "python's global generator": random.getstate()}
    return states | ({"CUDA's global generator": torch.cuda.get_rng_state(images.device)} if images.is_cuda else {})


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Leave the global generators as they were; on CUDA, with repeatable convolutions."""
    numbers, arrays = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    repeatable = torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False)
    try:
        with torch.random.fork_rng(devices), repeatable:
            yield
    finally:
        random.setstate(numbers)
        np.random.set_state(arrays)
