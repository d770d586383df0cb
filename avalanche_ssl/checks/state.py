"""Checks of what a method remembers."""

import copy
from collections.abc import Callable

from torch import Tensor

from avalanche_ssl.checks.harness import (
    after_one_step,
    detached,
    global_random_states,
    held_state,
    loss_of,
    require,
    require_unchanged,
    rewound,
    seeded,
    state_shapes,
    train,
    trial_copy,
    trial_optimizer,
)
from avalanche_ssl.checks.snapshot import Snapshot, attributes, changed, tensors
from avalanche_ssl.methods import Method


def copies_are_independent(method: Method, images: Tensor) -> None:
    """A deep copy equals its original and shares nothing with it."""
    twin, before = trial_copy(method), tensors(method) | attributes(method)
    require_unchanged(before, tensors(twin) | attributes(twin), "deepcopy changed")
    after_one_step(twin, images)
    for tensor in twin.state_dict().values():
        tensor.zero_()
    remedy = "build what the method writes to in __init__, as its own"
    require_unchanged(before, tensors(method) | attributes(method), "writing to a deep copy changed", remedy)


def only_update_writes(method: Method, images: Tensor) -> None:
    """`views`, `embed` and `loss` do not change the state of the method, batch-norm statistics in train mode aside."""
    after_one_step(method, images)
    remedy = "write to the memory in update only"
    for mode in (True, False):
        method.train(mode)
        before = held_state(method, statistics=not mode)
        views = method.views(images)
        require_unchanged(before, held_state(method, statistics=not mode), "views changed", remedy)
        outputs = method.embed(views)
        require_unchanged(before, held_state(method, statistics=not mode), "embed changed", remedy)
        for result in (outputs, detached(method(images[:5]))):  # as plugins that evaluate the loss again
            loss_of(method, result)
            require_unchanged(before, held_state(method, statistics=not mode), "loss changed", remedy)


def memory_is_in_the_state_dict(method: Method, images: Tensor) -> None:
    """Everything that `update` writes is in `state_dict`, and no plain attribute holds a tensor."""
    optimizer = trial_optimizer(method)
    for batch in (images, images[:5], images):
        train(method, optimizer, [batch])
        for name, value in attributes(method).items():
            hidden = f"'{name}' is a tensor in a plain attribute"
            require(not isinstance(value, Tensor), f"{hidden}: register it as a buffer, or its module as a child")
        outputs, before = detached(method(batch)), tensors(method)
        method.update(outputs)
        lost = [name for name in changed(before, tensors(method)) if name not in method.state_dict()]
        names = ", ".join(lost)
        require(not lost, f"update writes to '{names}', which is not persistent: register it without persistent=False")


def counters_are_tensors(method: Method, images: Tensor) -> None:
    """`prepare` and `update` change no number, list or other plain attribute of any submodule."""
    for batch in (images, images[:5], images):
        before = attributes(method)
        method.prepare(iter((batch,)))
        remedy = "register it as a buffer in __init__ (a counter: torch.zeros((), dtype=torch.long))"
        require_unchanged(before, attributes(method), "prepare changed plain attribute", remedy)
        outputs, before = detached(method(batch)), attributes(method)
        method.update(outputs)
        require_unchanged(before, attributes(method), "update changed plain attribute", remedy)


def shapes_never_change(method: Method, images: Tensor) -> None:
    """Names, shapes and types in `state_dict` never change with the batches: created in `__init__`, and bounded."""
    before, optimizer = state_shapes(method), trial_optimizer(method)
    for batch in (images, images[:5], images.repeat(2, 1, 1, 1), images):
        method.prepare(iter((batch,)))
        train(method, optimizer, [batch])
        remedy = "register it in __init__ with its final shape"
        require_unchanged(before, state_shapes(method), "after some steps, state_dict has changed", remedy)


def randomness_comes_from_the_generator(method: Method, images: Tensor) -> None:
    """With `generator` in the same state, views, loss and update repeat exactly, and use no other randomness."""
    train(method, trial_optimizer(method), [images, images])
    outputs = detached(method(images))
    twin, remedy = trial_copy(method), "draw with generator=self.generator only"
    calls: dict[str, Callable[[Method], Snapshot]] = {
        "views": lambda model: {**model.views(images)},
        "loss": lambda model: {"loss": loss_of(model, outputs)},
        "update": lambda model: model.update(outputs) or tensors(model),  # type: ignore[func-returns-value]
    }
    for name, call in calls.items():
        before = global_random_states()
        first = call(rewound(method))
        require_unchanged(before, global_random_states(), f"{name} draws from", remedy)
        again = call(rewound(twin))
        require_unchanged(first, again, f"{name} does not repeat with the same state of the generator:", remedy)


def a_fresh_copy_continues_bit_for_bit(method: Method, images: Tensor) -> None:
    """A new method that loads `state_dict` continues with the same losses to the same state, bit for bit."""
    resumed, optimizer = trial_copy(method), trial_optimizer(method)
    train(method, optimizer, [images, images[:5], images])
    resumed.load_state_dict(method.state_dict())
    its_optimizer = trial_optimizer(resumed)
    its_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # it would share the momentum buffers
    runs = []
    for model, sgd in ((method, optimizer), (resumed, its_optimizer)):
        seeded(model).prepare(iter((images,)))
        runs.append(train(model, sgd, [images[3:], images, images]))
    found = f"losses are {runs[0]}, of a new copy that loaded state_dict {runs[1]}"
    require(runs[0] == runs[1], f"{found}: keep everything that is remembered in parameters and buffers")
    require_unchanged(tensors(method), tensors(resumed), "a new copy that loaded state_dict continued with another")
