"""The processes that torchrun has started: which one this is, and what all of them agree on."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from avalanche_ssl.distributed.launcher import launched, place_on_machine
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

PATIENCE = datetime.timedelta(days=1)
"""How long processes wait for one that does what the others do not, such as fitting a probe."""


class _Group:
    """What belongs to the processes once they have joined."""

    size = 1
    rank = 0
    control: Any = None  # a group of gloo, whose collectives wait for no GPU
    store: Any = None


def size() -> int:
    """How many processes learn as one; 1 before `start`."""
    return _Group.size


def rank() -> int:
    """Which of them this is, from 0."""
    return _Group.rank


def is_main() -> bool:
    """Whether this is process 0, which writes and prints."""
    return _Group.rank == 0


def check_started() -> None:
    """Refuse to train where several processes were launched that do not know of each other.

    Raises:
        UsageError: names the remedy.
    """
    if launched() > 1 and size() == 1:
        raise UsageError(
            f"{launched()} processes were launched, and each would train for itself: call "
            "avalanche_ssl.distributed.start(device) after the imports, before the strategy is made"
        )


def start(device: str | torch.device = "cpu") -> torch.device:
    """Join the processes that torchrun has started; without it, nothing happens.

    Call it after Avalanche was imported, which otherwise complains of loggers in a process that is not the first.

    Args:
        device: "cpu", or "cuda", of which process i of a machine gets the i-th.

    Returns:
        The device of this process.

    Raises:
        UsageError: a machine has more processes than GPUs, or the processes cannot be joined.
    """
    import torch

    own = _own(torch.device(device))
    if launched() == 1 or size() > 1:
        return own
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        store, number, count = next(rendezvous("env://", timeout=PATIENCE))
        # The store of torchrun outlives processes that are restarted, and with it the addresses of dead ones.
        store = PrefixStore(f"restart {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
        join(store, number, count, own)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"the processes cannot be joined: {reason}; look at --rdzv-endpoint, and its port") from error
    return own


def join(store: Any, number: int, count: int, device: torch.device | str = "cpu") -> None:
    """Be process `number` of `count` that share a store of `torch.distributed`; `start` does it for torchrun's."""
    import torch
    import torch.distributed as dist

    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    backend = "nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
    _Group.control = dist.new_group(backend="gloo", timeout=PATIENCE) if on_gpu else dist.group.WORLD
    _Group.size, _Group.rank, _Group.store = count, number, store


def leave() -> None:
    """Learn alone from here on."""
    if size() > 1:
        import torch.distributed as dist

        with suppress(RuntimeError):
            dist.destroy_process_group()
    _Group.size, _Group.rank, _Group.control, _Group.store = 1, 0, None, None


def group_of(device: torch.device) -> Any:
    """The group that tensors on a device travel in: on the CPU one of gloo, which NCCL has none for."""
    return _Group.control if device.type == "cpu" else None


def agreed(number: int) -> int:
    """The largest of the numbers of all processes."""
    if size() == 1:
        return number
    import torch
    import torch.distributed as dist

    numbers = [torch.empty((), dtype=torch.long) for _ in range(size())]
    dist.all_gather(numbers, torch.tensor(number), group=_Group.control)  # of gloo's collectives the fastest
    return int(torch.stack(numbers).max())


def broadcast(value: Value) -> Value:
    """What process 0 has; the values of the others do not count. Tensors come on the CPU."""
    if size() == 1:
        return value
    import torch.distributed as dist

    box = [value if is_main() else None]
    dist.broadcast_object_list(box, src=0, group=_Group.control)
    return box[0]  # type: ignore[return-value]


def on_main(function: Callable[[], Value]) -> Value:
    """What a function gives in process 0, which alone calls it; its error is raised in all processes.

    Raises:
        UsageError, OSError: as the function does.
    """
    if size() == 1:
        return function()
    result: Any = None
    if is_main():
        try:
            result = function()
        except (UsageError, OSError) as error:
            broadcast(error)
            raise
    result = broadcast(result)
    if isinstance(result, (UsageError, OSError)):
        raise result
    return result  # type: ignore[no-any-return]


def check_same(digest: str, what: str) -> None:
    """Refuse to go on where processes differ.

    Args:
        digest: of what must be the same in all processes.
        what: its name.

    Raises:
        UsageError: names the processes that differ from process 0.
    """
    if size() == 1:
        return
    import torch.distributed as dist

    digests: list[Any] = [None] * size()
    dist.all_gather_object(digests, digest, group=_Group.control)
    others = [str(number) for number, other in enumerate(digests) if other != digests[0]]
    if others:
        raise UsageError(
            f"{what} of process {', '.join(others)} and of process 0 differ: give all processes the same code, data "
            "and kind of machine"
        )


def another_has_ended(error: BaseException) -> str | None:
    """One line for an error of a collective whose reason is that another process is gone; None for any other."""
    signs = (
        "Connection closed by peer",
        "Connection reset by peer",
        "remote process",
        "Broken pipe",
        "ncclRemoteError",
    )
    if size() == 1 or not isinstance(error, RuntimeError) or not any(sign in str(error) for sign in signs):
        return None
    return "another process has ended: torchrun --max-restarts N with --resume would start all of them again"


def is_first_to_fail(message: str, wait: float = 5.0) -> bool:
    """Whether this process is the one that says why all end: process 0, or one whose error process 0 does not have.

    Before the processes have joined, it is the first of each machine.

    Args:
        message: the error.
        wait: seconds in which process 0 may say it.
    """
    if size() == 1:
        return launched() == 1 or place_on_machine() == 0
    store = _Group.store
    with suppress(RuntimeError):  # the store may be gone with its process
        if not is_main():
            with suppress(RuntimeError):
                store.wait(["failed"], datetime.timedelta(seconds=wait))
        return bool(store.add("failed", 1) == 1)
    return False


def _own(device: torch.device) -> torch.device:
    """The device of this process."""
    import torch

    if device.type != "cuda" or launched() == 1:
        return device
    number, found = place_on_machine(), torch.cuda.device_count()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", number + 1))
    if here > found:  # all processes of the machine say so, and not only those that have no GPU
        raise UsageError(
            f"{here} processes on a machine with {found} GPUs: give --nproc-per-node {found}"
            + (", or --device cpu" if not found else "")
        )
    if device.index not in (None, number):
        raise UsageError(f"device {device} is one GPU, and each of {launched()} processes takes one: give device cuda")
    return torch.device("cuda", number)
