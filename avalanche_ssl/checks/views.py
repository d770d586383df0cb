"""Checks of random views and embeddings."""

from functools import partial
from itertools import combinations

from torch import Tensor

from avalanche_ssl.checks.harness import (
    _close,
    _detached,
    _loss,
    _mostly_nearest,
    _require,
    _require_rows,
    _seeded,
    _shuffled,
    _unchanged,
    _watched,
    _without_dropout,
)
from avalanche_ssl.checks.snapshot import equal, tensors
from avalanche_ssl.methods.base import Method


def inputs_are_left_alone(method: Method, images: Tensor) -> None:
    """No method writes into the tensors it is given, raw images (uint8 or float), views or outputs."""
    for x in (images, images.float() / 255):
        given = x.clone()
        method.extract_features(x)
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
    n_updates = set()
    for i in range(len(images)):
        edited = images.clone()
        edited[i] = 255 - images[i].flip(0)
        for name, view in _seeded(method).views(edited).items():
            differs = (view != views[name]).reshape(len(images), -1).any(1)
            others = differs.clone()
            others[i] = False
            found = f"changing image {i} changes row {others.int().argmax()} of view '{name}'"
            _require(not others.any(), f"{found}: keep row i of every view for image i")
            n_updates |= {name} if differs[i] else set()
    for name, view in views.items():
        blind = view.is_floating_point() and name not in n_updates
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
