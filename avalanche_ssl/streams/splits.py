"""`IncrementalSplit`: how images of classes are spread over the experiences of a stream.

It is declared here without numpy, because a command line lists its options; `partitions` computes the split.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, get_type_hints

from avalanche_ssl.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from avalanche_ssl.data import Indices

Builder = TypeVar("Builder", bound=Callable[..., Any])

KINDS = ("class", "data", "blurry", "repeated")

REGIMES = ("sequential", "joint", "cumulative")
"""What is trained on: one experience after the other, all at once, or with each all before it."""


@dataclass(frozen=True)
class IncrementalSplit:
    """How images are spread over experiences: each comes once, except those that `imbalance` leaves out.

    Args:
        experiences: E.
        incremental: "class" (new classes in each), "data" (an equal random part of every class in each), "blurry"
            (as "class", but a share `leak` of each class is dealt out evenly to the other experiences, as in Bang et
            al. 2021, arXiv:2103.17230), or "repeated" (all classes come `repeats` times, each time in another order
            and with an equal part of their images: the experiences are divided into as many rounds).
        imbalance: how many times more training images the largest class keeps than the smallest. The class of rank r
            among C, drawn at random, keeps the share ``imbalance ** (-r / (C - 1))`` of its images, at least one (the
            long tail of Cui et al. 2019, arXiv:1901.05555).
        leak: share of each class, in [0, 1].
        repeats: rounds.
        seed: of all draws.
        class_order: of the first round; drawn by `seed` if None.
    """

    experiences: int
    incremental: str = "class"
    imbalance: float = 1.0
    leak: float = 0.1
    repeats: int = 2
    seed: int = 0
    class_order: Sequence[int] | None = None

    def check(self, n_classes: int) -> None:
        """Find mistakes before images are read.

        Raises:
            UsageError: a value is out of its range, or makes no stream of so many classes.
        """
        from avalanche_ssl.streams.partitions import class_groups_by_round

        if self.incremental not in KINDS:
            raise unknown_name("kind of increment", self.incremental, KINDS)
        if not 0 <= self.leak <= 1:
            raise UsageError(f"leak is {self.leak}: give a share of each class, from 0 to 1")
        if not 1 <= self.imbalance < math.inf:
            raise UsageError(f"imbalance is {self.imbalance}: give 1 (none) or more")
        if self.incremental == "blurry" and self.experiences == 1:
            raise UsageError("a class of a single experience has nowhere to leak: give 2 experiences or more")
        if self.incremental == "repeated" and not 1 <= self.repeats <= self.experiences:
            raise UsageError(
                f"cannot repeat classes {self.repeats} times in {self.experiences} experiences: give fewer"
            )
        if self.incremental != "data":
            class_groups_by_round(self, n_classes)

    def train_parts(self, targets: Sequence[int], n_classes: int) -> list[Indices]:
        """The positions of the training images of each experience."""
        from avalanche_ssl.streams.partitions import partition

        return partition(self, targets, n_classes, "training")

    def test_parts(self, targets: Sequence[int], n_classes: int) -> list[Indices]:
        """The positions of the test images of each experience: of all images, and blurry classes do not leak."""
        from avalanche_ssl.streams.partitions import partition

        return partition(replace(self, imbalance=1.0, leak=0.0), targets, n_classes, "test")


class SplitOptions(TypedDict, total=False):
    """The fields of `IncrementalSplit` but `experiences`, as keyword arguments of the builders of streams."""

    incremental: str
    imbalance: float
    leak: float
    repeats: int
    seed: int
    class_order: Sequence[int] | None


def with_split_options(builder: Builder) -> Builder:
    """Declare the options of `IncrementalSplit` in the signature of a builder, in place of its `**split`.

    So `help` and the command line list them, with types and defaults; one that the builder declares itself stays.
    """
    signature, types = inspect.signature(builder), get_type_hints(IncrementalSplit)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    shared = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=types[f.name])
        for f in fields(IncrementalSplit)
        if f.name not in signature.parameters
    ]
    builder.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    for name in signature.parameters.keys() - {p.name for p in own}:
        builder.__annotations__.pop(name, None)
    builder.__annotations__.update({p.name: p.annotation for p in shared})
    return builder
