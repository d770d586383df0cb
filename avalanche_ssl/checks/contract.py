"""Does a method keep the contract? `check_method` tells, for any method, and names the rule that is broken.

Each rule is a small function over a method in train mode, with its own seeded generator, and a batch of raw images.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from avalanche_ssl.checks.features import (
    bytes_and_floats_are_the_same_images,
    evaluating_changes_nothing,
    features_are_finite_rows,
    features_belong_to_their_images,
)
from avalanche_ssl.checks.harness import _own_randomness, _RuleError, _trial, textured
from avalanche_ssl.checks.learning import (
    batches_of_any_size_work,
    gradient_reaches_the_encoder,
    loss_is_a_finite_scalar,
)
from avalanche_ssl.checks.state import (
    a_fresh_copy_continues_bit_for_bit,
    copies_are_independent,
    counters_are_tensors,
    memory_is_in_the_state_dict,
    only_update_writes,
    randomness_comes_from_the_generator,
    shapes_never_change,
)
from avalanche_ssl.checks.views import (
    embeddings_belong_to_their_images,
    inputs_are_left_alone,
    views_are_random,
    views_belong_to_their_images,
)
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods.base import Method

Check = Callable[[Method, Tensor], None]


class ContractError(AssertionError):
    """A method breaks a rule of the contract: says which method, which rule, what was found, and the remedy."""


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
        with _own_randomness():
            try:
                check(_trial(method), images.clone())
            except Exception as error:
                found = f"{error}" if isinstance(error, _RuleError) else f"{type(error).__name__}: {error}"
                message = f'{type(method).__name__} breaks "{check.__name__}": {found}'
                raise ContractError(message) from (None if isinstance(error, _RuleError) else error)


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
