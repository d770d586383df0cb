"""The training loop that can be entered inside an epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any


@dataclass(frozen=True)
class _Rest:
    """Experiences but the first ones; none is kept, of a stream there may be very many."""

    experiences: Any
    first: int

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.experiences), self.first, None)
