"""A method whose encoders start from given weights, and so does everything that it copies from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from avalanche_ssl.methods import Method
from avalanche_ssl.models import Encoder, EncoderFactory, Weights, load_weights


def initialized_method(method: Callable[..., Method], encoder: EncoderFactory, weights: Weights) -> Method:
    """The method with weights loaded into its encoders before it copies them, as momentum encoders are copied.

    It is built twice: in the first one, the weights find their places by the names of the whole `encoder`, which may
    hold several, such as CMC's of two views. Heads and memories are drawn as without weights.

    Args:
        method: builds the method from a factory of encoders.
        encoder: the factory.
        weights: see `load_weights`.

    Raises:
        UsageError: as `load_weights`.
    """
    made: list[Encoder] = []

    def recorded(*given: Any, **options: Any) -> Encoder:
        made.append(encoder(*given, **options))
        return made[-1]

    random = torch.get_rng_state()
    first = method(recorded)
    load_weights(first.encoder, weights)
    torch.set_rng_state(random)
    loaded = iter(made)

    def initialized(*given: Any, **options: Any) -> Encoder:
        network = encoder(*given, **options)
        state = next(loaded).state_dict()
        network.load_state_dict({name: state[name] for name in network.state_dict()})
        return network

    second = method(initialized)
    second.encoder.load_state_dict(first.encoder.state_dict())  # what the method has added to an encoder
    return second
