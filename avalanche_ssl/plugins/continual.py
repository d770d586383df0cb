"""`ContinualPlugin`: what plugins against forgetting have in common."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any, ClassVar

import torch
from avalanche.benchmarks import OnlineCLExperience
from avalanche.core import SupervisedPlugin
from torch import Tensor

from avalanche_ssl.errors import UsageError, require_range
from avalanche_ssl.evaluation import PluginCost
from avalanche_ssl.methods import Method, channels_of, trial_mode, try_images
from avalanche_ssl.plugins.balance import GradientBalance, check_balance
from avalanche_ssl.plugins.host_counters import HostCounters
from avalanche_ssl.plugins.plugin_cost import plugin_cost
from avalanche_ssl.plugins.teacher import warn_of_several_teachers
from avalanche_ssl.rng import seeded


class ContinualPlugin(SupervisedPlugin, HostCounters):  # type: ignore[misc]
    """A plugin against forgetting whose networks are trained with the method and whose memory survives a resume.

    It keeps the rules of a method: everything that it learns or remembers is a parameter or a persistent buffer with
    its final shape, made in `build`; counters are 0-d tensors; randomness comes from a generator of its own, so that a
    run with weight 0 is the run without it, bit for bit. Its parameters get one group of the optimizer, without weight
    decay.

    Subclasses define what they need of `build`, `term`, `after_step` and `boundary`. A plugin of one's own:

    ```python
    class Tether(ContinualPlugin):
        needs_boundaries = True

        def build(self, strategy):
            self.teacher = Teacher(strategy.model)

        def term(self, strategy):
            if not self.teacher.taken:
                return None
            pairs = zip(strategy.model.embeddings(strategy.mb_output), self.teacher.embeddings(strategy))
            return sum(F.mse_loss(now, old) for new, past in pairs for now, old in zip(new, past))

        def boundary(self, strategy):
            self.teacher.take(strategy.model)
    ```

    Args:
        weight: of the term that is added to the method's loss; None: that of `default_weights`, or 1.
        every: steps between two boundaries, for a stream of mini-batches that tells none; 0: the ends of experiences.
        balance: instead of a weight: the norm of the term's gradient as a multiple of that of the method's loss, see
            `GradientBalance`, which logs their ratio in either case.

    Raises:
        UsageError: a setting is out of range, or both weight and balance are given; when the strategy is made: the
            method or the other plugins do not fit.
    """

    needs_boundaries: ClassVar[bool] = False
    """Whether it does nothing without `boundary`."""
    needs_spaces: ClassVar[bool] = True
    """Whether it reads the method's `spaces`."""
    needs_replay: bool = False
    """Whether it needs one `Replay` before it, see `replay_before`."""
    fills_batches: ClassVar[bool] = False
    """Whether it adds remembered images to batches, so that one new image is enough for a step."""
    reads_labels: bool = False
    """Whether it reads class labels."""
    default_weights: ClassVar[Mapping[str, float]] = {}
    """Weights by name of the method's class, or of its family; 1 elsewhere."""
    on_host: ClassVar[tuple[str, ...]] = ("under_way",)

    name: str = ""
    """What logs call it; that of the command line where it came from there, "": the name of its class."""
    lr_factor: float = 1.0
    """Learning rate of its parameters as a multiple of the optimizer's; `build` may set it."""
    under_way: Tensor
    loss: Tensor | None = None
    """The latest term without its weight, detached; None while the plugin is idle."""

    def __init__(self, weight: float | None = None, every: int = 0, balance: float | None = None) -> None:
        super().__init__()
        if weight is not None:
            require_range(0, weight=weight)
        if weight is not None and balance is not None:
            raise UsageError(f"weight is {weight:g} and balance {balance:g}, which sets the weight: give one of them")
        require_range(0, every=every)
        self.weight: float = 1.0 if weight is None else weight
        self.every = every
        self._has_default_weight = weight is None
        self._attached = False
        self.gradients = GradientBalance(balance)
        self.register_buffer("under_way", torch.zeros((), dtype=torch.bool))  # an experience that comes in parts

    # -- what subclasses define ----------------------------------------------------------------------------------

    def build(self, strategy: Any) -> None:
        """Make networks and memory in their final shapes, with global random states of their own."""

    def objective(self, strategy: Any) -> Tensor | None:
        """The loss of the step in the place of the method's, 0-d; None: the method's. The first plugin's counts."""
        return None

    def term(self, strategy: Any) -> Tensor | None:
        """What is added to the loss of the step, 0-d; None while there is nothing to keep."""
        return None

    def after_step(self, strategy: Any) -> None:
        """Follow the step: the optimizer has moved, `mb_output` has no effect any more."""

    def boundary(self, strategy: Any) -> None:
        """Follow the end of an experience, or every so many steps."""

    def set_weight(self, weight: float) -> None:
        """Give the term a weight in the place of the default one, or of a balance."""
        self.weight = weight
        self._has_default_weight = False
        self.gradients.balance = None

    def cost(self) -> PluginCost:
        """What it trains and keeps."""
        return plugin_cost(self)

    # -- what holds for all --------------------------------------------------------------------------------------

    def attach(self, strategy: Any) -> None:
        """Join a strategy, which calls this when it is made, and leaves the plugin as it was if it is refused.

        Raises:
            UsageError: the method or the other plugins do not fit, or it belongs to a strategy already.
        """
        name = type(self).__name__
        if self._attached:
            raise UsageError(f"this {name} belongs to another strategy: make a new one for each")
        if self.needs_spaces and not strategy.model.spaces:
            raise UsageError(
                f"{type(strategy.model).__name__} declares no embeddings to keep: give it `spaces`, or a plugin that "
                "only replays"
            )
        if self.needs_replay:
            replay_before(self, strategy)
        if self.gradients.balance is not None:
            check_balance(name, strategy)
        self._attached = True
        if self._has_default_weight:
            self.weight = self.default_weight(strategy.model)
        position = [plugin is self for plugin in strategy.plugins].index(True)
        with seeded(strategy.view_generator.initial_seed() + position):
            self.build(strategy)
        self.to(strategy.device)
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if parameters:
            group: dict[str, Any] = {"params": parameters, "weight_decay": 0.0}
            if self.lr_factor != 1:
                group["lr"] = strategy.optimizer.defaults["lr"] * self.lr_factor
            strategy.optimizer.add_param_group(group)
        warn_of_several_teachers(self, strategy.plugins[:position])

    def default_weight(self, method: Method) -> float:
        """The weight for a method where none is given."""
        names = [kind.__name__ for kind in type(method).__mro__] + [method.family]
        return next((self.default_weights[name] for name in names if name in self.default_weights), 1.0)

    def before_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Refuse a stream without the boundaries that are needed, and end an experience whose last part was dropped.

        Raises:
            UsageError: mini-batches tell no boundary.
        """
        part = online_part(strategy)
        if part is None or self.every:
            return
        if self.needs_boundaries and not part.access_task_boundaries:
            raise UsageError(
                f"{type(self).__name__} learns from the model of the last experience, and this stream tells no "
                "boundaries: give every=N steps, access_task_boundaries=True, or CLA, which needs none"
            )
        if part.access_task_boundaries and part.is_first_subexp and self.under_way:
            self._end(strategy)

    def before_backward(self, strategy: Any, **kwargs: Any) -> None:
        """Add the weighted term to the loss."""
        term = self.term(strategy)
        self.loss = None if term is None else term.detach()
        if term is not None:
            strategy.loss = strategy.loss + self.gradients.weigh(term, self.weight, strategy)

    def after_update(self, strategy: Any, **kwargs: Any) -> None:
        """Follow a step that was made; every so many steps is a boundary, also where the last of them was skipped."""
        if not strategy.nonfinite_guard.skipping:
            self.after_step(strategy)
        if self.every and (strategy.clock.train_iterations + 1) % self.every == 0:
            self._end(strategy)

    def after_training_exp(self, strategy: Any, **kwargs: Any) -> None:
        """Follow the end of an experience."""
        part = online_part(strategy)
        if self.every or (part is not None and not part.access_task_boundaries):
            return
        if part is None or part.is_last_subexp:
            self._end(strategy)
        else:
            self.under_way.fill_(True)

    def _end(self, strategy: Any) -> None:
        self.under_way.fill_(False)
        self.boundary(strategy)
        if self.needs_boundaries:
            self.gradients.begin()


def replay_before(plugin: ContinualPlugin, strategy: Any) -> Any:
    """The one plugin before `plugin` that adds remembered images to batches, a `Replay`.

    Raises:
        UsageError: there is none, or another number than one.
    """
    earlier = takewhile(lambda other: other is not plugin, strategy.plugins)
    found = [other for other in earlier if getattr(other, "fills_batches", False)]
    if len(found) != 1:
        raise UsageError(
            f"{type(plugin).__name__} works on replayed images: put one Replay before it in the list of plugins "
            f"(--plugin replay), not {len(found)}"
        )
    return found[0]


def embedding_dims(strategy: Any) -> list[int]:
    """Length of an embedding in each space of the strategy's method, found with four random images; nothing changes.

    Raises:
        UsageError: images do not fit the method, see `avalanche_ssl.methods.try_images`.
    """
    method: Method = strategy.model
    images = trial_images(strategy)
    with trial_mode(method, strategy.device):
        outputs = method.embed(method.views(images))
    return [space[0].shape[-1] for space in method.embeddings(outputs)]


def trial_images(strategy: Any) -> Tensor:
    """Four random images (4, C, H, W) that the strategy's method takes.

    Raises:
        UsageError: images do not fit the method, see `avalanche_ssl.methods.try_images`.
    """
    method: Method = strategy.model
    side = method.augment.size
    shape = (channels_of(method) or 3, side, side)
    try_images(method, shape, strategy.device)
    images = torch.randint(0, 256, (4, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return images.to(strategy.device)


def online_part(strategy: Any) -> OnlineCLExperience[Any] | None:
    """What is trained on, with all its attributes, if it is a part of an experience; None if it is a whole one."""
    experience = strategy.experience.logging()
    return experience if isinstance(experience, OnlineCLExperience) else None
