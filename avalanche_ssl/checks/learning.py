"""Checks of the loss and its gradient."""

import math

import torch
from torch import Tensor

from avalanche_ssl.checks.harness import loss_of, require, train, trial_copy, trial_optimizer
from avalanche_ssl.methods import Method


def loss_is_a_finite_scalar(method: Method, images: Tensor) -> None:
    """The loss is 0-d, float32, finite and has a gradient, with an empty memory and later."""
    optimizer = trial_optimizer(method)
    for _ in range(3):
        loss = loss_of(method, method(images))
        require(loss.ndim == 0, f"the loss has shape {tuple(loss.shape)}: reduce it to a 0-d tensor")
        require(loss.dtype == torch.float32, f"the loss is {loss.dtype}: compute it in float32")
        require(loss.isfinite(), f"the loss is {loss.item()}")
        require(loss.requires_grad, "the loss has no gradient: nothing is trained")
        train(method, optimizer, [images])


def gradient_reaches_the_encoder(method: Method, images: Tensor) -> None:
    """After some steps, every trainable parameter of the encoder has a gradient, and each part a nonzero one."""
    train(method, trial_optimizer(method), [images, images])
    method.zero_grad()
    loss_of(method, method(images)).backward()  # type: ignore[no-untyped-call]
    trainable = {name: p for name, p in method.encoder.named_parameters() if p.requires_grad}
    require(trainable, "the encoder has no trainable parameter")
    for name, parameter in trainable.items():
        require(parameter.grad is not None, f"no gradient reaches 'encoder.{name}': is it detached or unused?")
    for part in dict.fromkeys(name.split(".")[0] for name in trainable):
        gradients = [p.grad for name, p in trainable.items() if name.split(".")[0] == part]
        alive = any(g is not None and g.count_nonzero() for g in gradients)
        require(alive, f"all gradients of 'encoder.{part}' are 0: does the loss depend on its embeddings?")


def batches_of_any_size_work(method: Method, images: Tensor) -> None:
    """Steps with 2 images, and with more than before, have a finite loss, first or later."""
    for sizes in ((2, 5, 33), (33, 2)):
        twin = trial_copy(method)
        enough = images.repeat(33 // len(images) + 1, 1, 1, 1)
        losses = train(twin, trial_optimizer(twin), [enough[:size] for size in sizes])
        require(all(map(math.isfinite, losses)), f"losses of batches of {sizes} images are {losses}")
