"""Checks of the features that probes read."""

import torch
from torch import Tensor

from avalanche_ssl.checks.harness import _all, _close, _require, _shuffled, _unchanged, _visited
from avalanche_ssl.checks.snapshot import equal
from avalanche_ssl.methods.base import Method


def features_are_finite_rows(method: Method, images: Tensor) -> None:
    """`extract_features` gives float32 (B, D), finite and the same each time, in eval mode."""
    features = method.eval().extract_features(images)
    shape = f"{features.dtype} {tuple(features.shape)}"
    _require(features.ndim == 2 and len(features) == len(images), f"represent gives {shape}: give (B, D)")
    _require(features.dtype == torch.float32, f"represent gives {shape}: give float32")
    _require(features.isfinite().all(), "represent gives values that are not finite")
    again = method.extract_features(images)
    _require(equal(features, again), "represent differs from call to call: use augment.plain, not random views")


def features_belong_to_their_images(method: Method, images: Tensor) -> None:
    """In eval mode, row i of the features depends on image i only: not on its place, nor on the other images."""
    features = method.eval().extract_features(images)
    order = _shuffled(images)
    remedy = "read the encoder in eval mode and keep the order of the rows"
    moved = _close(method.extract_features(images[order]), features[order])
    _require(moved, f"permuting the images does not permute the features: {remedy}")
    alone = _close(method.extract_features(images[:3]), features[:3])
    _require(alone, f"the features of an image depend on the others of its batch: {remedy}")


def bytes_and_floats_are_the_same_images(method: Method, images: Tensor) -> None:
    """uint8 images, and the same images as float in [0, 1], have the same features."""
    features = method.eval().extract_features(images)
    same = _close(method.extract_features(images.float() / 255), features)
    _require(same, "uint8 images and the same as float in [0, 1] differ: bring both to [0, 1] with to_float")


def evaluating_changes_nothing(method: Method, images: Tensor) -> None:
    """In eval mode, `extract_features` leaves parameters, buffers, modes and random states bit for bit as they were."""
    _visited(method, images).eval()
    before, modes = _all(method), [module.training for module in method.modules()]
    method.extract_features(images)
    _unchanged(before, _all(method), "represent in eval mode changed")
    _require(modes == [module.training for module in method.modules()], "represent switches to train mode")
