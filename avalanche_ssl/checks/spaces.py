"""Checks of what a method declares for continual plugins."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from avalanche_ssl.checks.harness import (
    close,
    mostly_nearest,
    permutation,
    require,
    require_unchanged,
    seeded,
    train,
    trial_optimizer,
    without_dropout,
)
from avalanche_ssl.checks.snapshot import Snapshot
from avalanche_ssl.methods import Family, Method
from avalanche_ssl.plugins import Teacher


def spaces_are_what_they_say(method: Method, images: Tensor) -> None:
    """`spaces` name outputs; embeddings of a space have one length, belong to their images and reach the encoder.

    The family is known, and one of "knowledge" has a codebook of unit rows of that length.
    """
    require(method.family in get_args(Family), f"family is '{method.family}': choose one of {get_args(Family)}")
    if not method.spaces:
        return
    views, order = method.views(images), permutation(images)
    outputs = seeded(without_dropout(method)).embed(views)
    missing = [name for names in method.spaces for name in names if name not in outputs]
    require(not missing, f"spaces name '{', '.join(missing)}', which embed does not return: it returns {list(outputs)}")
    spaces = method.embeddings(outputs)
    counts = [len(space) for space in spaces], [len(names) for names in method.spaces]
    require(counts[0] == counts[1], f"embeddings returns {counts[0]} tensors by space, and spaces name {counts[1]}")
    moved = method.embeddings(seeded(method).embed({name: view[order] for name, view in views.items()}))
    for names, space, its_moved in zip(method.spaces, spaces, moved, strict=True):
        dims = {z.shape[-1] for z in space}
        require(len(dims) == 1, f"embeddings of {names} have lengths {sorted(dims)}: put them in spaces of their own")
        for name, z, permuted in zip(names, space, its_moved, strict=True):
            shape = tuple(z.shape)
            fits = z.ndim in (2, 3) and len(z) == len(images) and z.is_floating_point()
            require(fits, f"embedding '{name}' is {z.dtype} {shape}: return float (B, D) or (B, n, D)")
            kept = close(permuted, z[order]) or mostly_nearest(permuted, z[order])
            require(kept, f"permuting the views does not permute embedding '{name}': keep row i for image i")
            reached = z.requires_grad and _reaches(method, z)
            require(reached, f"no gradient of embedding '{name}' reaches the encoder: leave it out of spaces")
        if method.family == "knowledge":
            _check_codebook(method.codebook(), dims.pop())


def the_copy_embeds_without_memory(method: Method, images: Tensor) -> None:
    """A `Teacher`, which leaves queues, banks and momentum encoders out, has the same embeddings, bit for bit."""
    if not method.spaces:
        return
    train(method, trial_optimizer(method), [images, images])
    views, copy = method.views(images), Teacher(method).method
    for mode in (True, False):
        without_dropout(method.train(mode))
        without_dropout(copy.train(mode))
        with torch.no_grad():
            own, copied = (_named(model, seeded(model).embed(views)) for model in (method, copy))
        remedy = "read no Queue, MemoryBank or MomentumEncoder for the outputs in spaces"
        require_unchanged(own, copied, "without its memory, a copy has another embedding", remedy)


def _named(method: Method, outputs: dict[str, Tensor]) -> Snapshot:
    pairs = zip(method.spaces, method.embeddings(outputs), strict=True)
    return {name: z for names, space in pairs for name, z in zip(names, space, strict=True)}


def _reaches(method: Method, z: Tensor) -> bool:
    """Whether a gradient that is not 0 reaches the encoder from embeddings, compared with fixed random ones."""
    weights = [parameter for parameter in method.encoder.parameters() if parameter.requires_grad]
    direction = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).to(z)
    gradients = torch.autograd.grad((z * direction).sum(), weights, retain_graph=True, allow_unused=True)
    return any(g is not None and bool(g.count_nonzero()) for g in gradients)


def _check_codebook(codebook: Tensor, dim: int) -> None:
    """Raise a `RuleError` unless the codebook is (H, K, D) with unit rows."""
    shape = tuple(codebook.shape)
    require(
        codebook.ndim == 3 and shape[-1] == dim, f"codebook is {shape}: return (H, K, {dim}) for embeddings of {dim}"
    )
    norms = codebook.norm(dim=-1)
    require(close(norms, torch.ones_like(norms)), "rows of codebook are not unit: normalize them")
