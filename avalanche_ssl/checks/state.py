"""Checks of what a method remembers."""

import copy
from collections.abc import Callable

from torch import Tensor

from avalanche_ssl.checks.harness import (
    _detached,
    _global_randomness,
    _held,
    _loss,
    _optimizer,
    _require,
    _rewound,
    _seeded,
    _shapes,
    _train,
    _trial,
    _unchanged,
    _visited,
)
from avalanche_ssl.checks.snapshot import Snapshot, attributes, changed, tensors
from avalanche_ssl.methods.base import Method


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
        before = _global_randomness()
        first = call(_rewound(method))
        _unchanged(before, _global_randomness(), f"{name} draws from", remedy)
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
