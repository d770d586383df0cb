"""Checks of the features that probes read."""

import torch
from torch import Tensor

from avalanche_ssl.checks.harness import after_one_step, close, full_state, permutation, require, require_unchanged
from avalanche_ssl.checks.snapshot import equal
from avalanche_ssl.methods import Method


def features_are_finite_rows(method: Method, images: Tensor) -> None:
    """`extract_features` returns float32 (B, D), finite and the same in every call, in eval mode."""
    features = method.eval().extract_features(images)
    shape = f"{features.dtype} {tuple(features.shape)}"
    require(features.ndim == 2 and len(features) == len(images), f"extract_features returns {shape}: return (B, D)")
    require(features.dtype == torch.float32, f"extract_features returns {shape}: return float32")
    require(features.isfinite().all(), "extract_features returns values that are not finite")
    again = method.extract_features(images)
    require(
        equal(features, again),
        "extract_features differs from call to call: use augment.normalize_only",
    )


def features_belong_to_their_images(method: Method, images: Tensor) -> None:
    """In eval mode, row i of the features depends on image i only: not on its place or on other images."""
    features = method.eval().extract_features(images)
    order = permutation(images)
    remedy = "read the encoder in eval mode and keep the order of the rows"
    moved = close(method.extract_features(images[order]), features[order])
    require(moved, f"permuting the images does not permute the features: {remedy}")
    alone = close(method.extract_features(images[:3]), features[:3])
    require(alone, f"the features of an image depend on the others of its batch: {remedy}")


def bytes_and_floats_are_the_same_images(method: Method, images: Tensor) -> None:
    """uint8 images, and the same images as float in [0, 1], have the same features."""
    features = method.eval().extract_features(images)
    same = close(method.extract_features(images.float() / 255), features)
    require(same, "features of uint8 images and of the same as float in [0, 1] differ: convert both with to_float")


def evaluating_changes_nothing(method: Method, images: Tensor) -> None:
    """In eval mode, `extract_features` leaves parameters, buffers, modes and random states unchanged, bit for bit."""
    after_one_step(method, images).eval()
    before, modes = full_state(method), [module.training for module in method.modules()]
    method.extract_features(images)
    require_unchanged(before, full_state(method), "extract_features in eval mode changed")
    require(modes == [module.training for module in method.modules()], "extract_features switches to train mode")
