"""Normalization layers of encoders, by name; `SplitBatchNorm`."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen_buffers(network: nn.Module) -> Iterator[None]:
    """Drop what forwards write to buffers: a look at patches stays out of the running batch-norm statistics.

    In train mode layers still normalise by their batch, but the statistics of small, transformed patches would make
    the features of whole images wrong in eval mode. The network works on copies of its buffers meanwhile, of
    whatever kind of layer, and has its own back afterwards, even after an error.
    """
    own = [(m, name, buffer) for m in network.modules() for name, buffer in m._buffers.items() if buffer is not None]
    try:
        for module, name, buffer in own:
            module._buffers[name] = buffer.clone()
        yield
    finally:
        for module, name, buffer in own:
            module._buffers[name] = buffer
