"""One-line explanations of failures during training."""

import numpy as np
import torch

from avalanche_ssl import distributed
from avalanche_ssl.data import dead_worker_message, is_dead_worker


def explain(error: BaseException, batch_size: int) -> str | None:
    """One line for an exception of torch that has a known cause and remedy; None for any other."""
    if isinstance(error, RuntimeError) and is_dead_worker(error):
        return dead_worker_message(error)
    if isinstance(error, np.linalg.LinAlgError | torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        reason = " ".join(str(error).split())[:100]
        return f"training has diverged, its features cannot be computed with ({reason}): lower lr, or clip the gradient"
    if line := distributed.another_has_ended(error):
        return line
    if out_of_memory(error):
        return (
            f"out of memory with batches of {batch_size} images: try --set batch_size={max(2, batch_size // 2)}, a "
            "smaller encoder or smaller images"
        )
    return None


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python or torch says that the memory of the host or the device does not suffice."""
    signs = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(s in str(error) for s in signs))
