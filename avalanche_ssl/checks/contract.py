"""`check_method`: checks the contract of any method, and names the rule that is broken.

Each rule is a small function of a method in train mode, with its own seeded generator, and a batch of raw images.
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
from avalanche_ssl.checks.harness import RuleError, isolated_randomness, textured, trial_copy
from avalanche_ssl.checks.learning import (
    batches_of_any_size_work,
    gradient_reaches_the_encoder,
    loss_is_a_finite_scalar,
)
from avalanche_ssl.checks.spaces import spaces_are_what_they_say, the_copy_embeds_without_memory
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
    views_do_not_depend_on_the_number_of_processes,
)
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method

Check = Callable[[Method, Tensor], None]


class ContractError(AssertionError):
    """A method breaks a rule of the contract; names the method, the rule, the finding and the remedy."""


def check_method(method: Method, images: Tensor | None = None) -> None:
    """Run all of `CHECKS` on deep copies of a method; the method and all global state are left unchanged.

    Args:
        method: any method, untrained or trained.
        images: raw uint8 (B, C, H, W), at least 6, all different. None: 16 textures, (16, 3, 32, 32).

    Raises:
        ContractError: a rule is broken; names the first one.
        UsageError: the images are not as described.
    """
    device = next(method.parameters()).device
    images = (textured(16) if images is None else images).to(device)
    if images.dtype != torch.uint8 or images.ndim != 4 or len(torch.unique(images, dim=0)) < max(6, len(images)):
        found = f"{images.dtype} {tuple(images.shape)}"
        raise UsageError(f"check_method needs 6 or more different raw images, uint8 (B, C, H, W), not {found}")
    for check in CHECKS:
        with isolated_randomness():
            try:
                check(trial_copy(method), images.clone())
            except Exception as error:
                found = f"{error}" if isinstance(error, RuleError) else f"{type(error).__name__}: {error}"
                message = f'{type(method).__name__} breaks "{check.__name__}": {found}'
                raise ContractError(message) from (None if isinstance(error, RuleError) else error)


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
    views_do_not_depend_on_the_number_of_processes,
    embeddings_belong_to_their_images,
    loss_is_a_finite_scalar,
    gradient_reaches_the_encoder,
    batches_of_any_size_work,
    spaces_are_what_they_say,
    the_copy_embeds_without_memory,
    memory_is_in_the_state_dict,
    counters_are_tensors,
    shapes_never_change,
    randomness_comes_from_the_generator,
    a_fresh_copy_continues_bit_for_bit,
)
"""All rules, causes before consequences: the first that is broken is the one to repair."""
