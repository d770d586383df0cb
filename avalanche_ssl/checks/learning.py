"""Checks of the loss and its gradient."""

import math

import torch
from torch import Tensor

from avalanche_ssl.checks.harness import _loss, _optimizer, _require, _train, _trial
from avalanche_ssl.methods.base import Method


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
