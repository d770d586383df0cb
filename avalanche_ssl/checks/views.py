"""Checks of random views and embeddings."""

from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from avalanche_ssl.checks.harness import (
    close,
    detached,
    loss_of,
    mostly_nearest,
    permutation,
    require,
    require_inputs_unchanged,
    require_rows,
    require_unchanged,
    seeded,
    without_dropout,
)
from avalanche_ssl.checks.snapshot import equal, tensors
from avalanche_ssl.distributed import Share, images_are
from avalanche_ssl.methods import Method


def inputs_are_left_alone(method: Method, images: Tensor) -> None:
    """No method writes to its input tensors: raw images (uint8 or float), views or outputs."""
    for x in (images, images.float() / 255):
        given = x.clone()
        method.extract_features(x)
        require(equal(x, given), "extract_features writes to its images: copy before in-place operations")
        views = method.views(x)
        require(equal(x, given), "views writes to its images: copy before in-place operations")
    require_inputs_unchanged("embed", method.embed, views)
    outputs = method.embed(views)
    require_inputs_unchanged("loss", partial(loss_of, method), outputs)
    outputs = detached(outputs)
    require_inputs_unchanged("update", method.update, outputs)
    before = tensors(method)
    for tensor in outputs.values():
        tensor.zero_()
    require_unchanged(before, tensors(method), "update stores the given outputs without a copy as", "copy them")


def views_are_random(method: Method, images: Tensor) -> None:
    """Views are finite, have no gradient, differ from call to call, and two views of a batch differ."""
    views, again = method.views(images), method.views(images)
    floats = [name for name, view in views.items() if view.is_floating_point()]
    require(floats, "views returns no float tensor: return the views as named tensors")
    for name in floats:
        require(views[name].isfinite().all(), f"view '{name}' is not finite")
        require(not views[name].requires_grad, f"view '{name}' requires a gradient: create views without one")
    remedy = "draw with self.generator in every call"
    require(any(not equal(views[n], again[n]) for n in floats), f"views are the same in every call: {remedy}")
    for a, b in combinations(floats, 2):
        require(not equal(views[a], views[b]), f"views '{a}' and '{b}' are the same: draw each separately")


def views_belong_to_their_images(method: Method, images: Tensor) -> None:
    """Changing image i, with the same draws, changes row i of the views and no other; each has B rows."""
    views = seeded(method).views(images)
    require_rows(views, "view", len(images))
    names = set()
    for i in range(len(images)):
        edited = images.clone()
        edited[i] = 255 - images[i].flip(0)
        for name, view in seeded(method).views(edited).items():
            differs = (view != views[name]).reshape(len(images), -1).any(1)
            others = differs.clone()
            others[i] = False
            found = f"changing image {i} changes row {others.int().argmax()} of view '{name}'"
            require(not others.any(), f"{found}: keep row i of every view for image i")
            names |= {name} if differs[i] else set()
    for name, view in views.items():
        constant = view.is_floating_point() and name not in names
        require(not constant, f"view '{name}' does not change with the images")


def views_do_not_depend_on_the_number_of_processes(method: Method, images: Tensor) -> None:
    """Views that three processes make of their shares are those of the whole batch, and all draw as often."""
    whole = seeded(method).views(images)
    assert method.generator is not None
    state, parts = method.generator.get_state(), []
    remedy = "draw by avalanche_ssl.rng.uniform, and say in which dimension of the draw the images are, images=..."
    for share in (Share((len(images),), rank, 3) for rank in range(3)):
        with images_are(share):
            parts.append(seeded(method).views(share.keep(images)))
        require(equal(method.generator.get_state(), state), f"views draws less for a share of the images: {remedy}")
    for name, view in whole.items():
        joined = torch.cat([part[name] for part in parts])
        require(close(joined, view), f"view '{name}' of a share of the images is another one: {remedy}")


def embeddings_belong_to_their_images(method: Method, images: Tensor) -> None:
    """Permuting the rows of the views permutes the rows of the outputs; each has B rows.

    Up to rounding in eval mode. In train mode, where groups of images may share statistics, most rows must still be
    nearest to the row of their own image.
    """
    views, order = method.views(images), permutation(images)
    for mode in (True, False):
        straight = seeded(without_dropout(method.train(mode))).embed(views)
        require_rows(straight, "output", len(images))
        moved = seeded(method).embed({name: view[order] for name, view in views.items()})
        for name, rows in straight.items():
            kept = close(moved[name], rows[order]) or (mode and mostly_nearest(moved[name], rows[order]))
            found = f"permuting the views does not permute output '{name}' in {'train' if mode else 'eval'} mode"
            require(kept, f"{found}: keep row i for image i (un-shuffle exactly once)")
