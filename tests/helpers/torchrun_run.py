"""A small run for torchrun, as a script: `avalanche-ssl run`, in which a signal may come to one of the processes.

The environment variable SIGNAL, "RANK STEP NUMBER", says to which, after which step, and which; not after a restart.
"""

import os
import sys
from pathlib import Path

from crashes import small_run

from avalanche_ssl.cli import run
from avalanche_ssl.training import SelfSupervised


def writes_nothing(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook that ends a process other than the first where it makes or changes a file of the run."""
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    else:
        path, writes = arguments[0] if arguments else "", event in ("os.mkdir", "os.rename", "os.remove")
    if writes and isinstance(path, str | os.PathLike) and "run" in Path(path).absolute().relative_to("/").parts[-3:-1]:
        print(f"process {os.environ['RANK']} writes {path}", file=sys.__stderr__)
        os._exit(3)


def signal_after(rank: str, step: str, number: str) -> None:
    """Send this process a signal after a step, if it is the one."""
    after = SelfSupervised._after_training_iteration

    def step_and_signal(self: SelfSupervised, **kwargs: object) -> None:
        if self.clock.train_iterations == int(step):
            os.kill(os.getpid(), int(number))
        after(self, **kwargs)

    if os.environ["RANK"] == rank and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        SelfSupervised._after_training_iteration = step_and_signal  # type: ignore[method-assign]


if __name__ == "__main__":
    small_run.prepare_process()
    if os.environ["RANK"] != "0":
        sys.addaudithook(writes_nothing)
    if "SIGNAL" in os.environ:
        signal_after(*os.environ["SIGNAL"].split())
    sys.exit(run.main())
