"""The boundaries between experiences of a benchmark, also where it comes in online sub-experiences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avalanche.benchmarks import OnlineCLExperience


class ExperienceBoundaries:
    """Counts what was trained on, and says when an experience of the benchmark is complete.

    Online sub-experiences count towards the experience that they were cut from, which is complete with its last image.

    Args:
        sizes: number of images of each experience, in the order of training.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)
        self.completed = 0
        """Experiences that are complete."""
        self.images = 0
        """Images of the experience under way, each counted once."""

    @property
    def under_way(self) -> bool:
        """Whether an experience is trained on in part."""
        return self.images > 0

    def add(self, experience: Any) -> bool:
        """Count an experience, or a part of one, after training on it; whether an experience is complete now.

        Beyond the length of the benchmark every part is complete.
        """
        self.images += len(experience.dataset)
        if isinstance(experience, OnlineCLExperience) and self.images < self._size():
            return False
        self.images = 0
        self.completed += 1
        return True

    def _size(self) -> int:
        """Images of the experience under way; 0 beyond the benchmark."""
        return self.sizes[self.completed] if self.completed < len(self.sizes) else 0

    def due(self, every: int) -> bool:
        """Whether the experience that is complete now is an n-th one, or the last of the benchmark or beyond it."""
        return self.completed % every == 0 or self.completed >= len(self.sizes)

    def state_dict(self) -> dict[str, int]:
        """The counts."""
        return {"completed": self.completed, "images": self.images}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from `state_dict`."""
        self.completed, self.images = state["completed"], state["images"]
