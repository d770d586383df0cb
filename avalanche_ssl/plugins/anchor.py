"""`Anchor`: weights stay near those of the last experience, each by its importance: EWC, SI, MAS and L2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError, require_positive, unknown_name
from avalanche_ssl.models import eval_mode, frozen_buffers
from avalanche_ssl.plugins.continual import ContinualPlugin, online_part
from avalanche_ssl.rng import isolated

Importance = Literal["fisher", "si", "mas", "ones"]


class Anchor(ContinualPlugin):
    """EWC, SI, MAS or L2 on the method's own loss: a quadratic penalty on the way of each weight from where it was.

    The term is ``sum(importance * (weight - reference)**2) / 2`` over all trained parameters of the method, encoder
    and heads; momentum encoders are none. The reference are the weights at the last boundary, and importances of past
    experiences add up.

    | importance | of a weight |
    |---|---|
    | "fisher" | EWC (Kirkpatrick et al. 2017, arXiv:1612.00796): the mean square of the gradient of the method's loss, in one pass over the experience with the final weights. The gradient is that of the mean over a batch, not of one image, since most of these losses compare the images of a batch |
    | "si" | synaptic intelligence (Zenke et al. 2017, arXiv:1703.04200): what the way of the weight took off the loss, ``max(0, -sum(gradient * step)) / (way**2 + damping)``. The gradient is that of the loss without this penalty, before it is clipped |
    | "mas" | memory aware synapses (Aljundi et al. 2018, arXiv:1711.09601): the mean absolute gradient of the mean squared norm of features, in one pass over the experience in eval mode. Heads have no part in features, their importance is 0 |
    | "ones" | 1: plain L2 to the last reference |

    In mini-batches of a stream, and with `every`, there is no experience to pass over again: "fisher" then averages
    the squared gradients of the steps since the last boundary, of the loss without this penalty, and "mas" makes its
    gradient in every step, which costs another backward pass. The passes change nothing else: views come from a
    generator of their own, and batch-norm statistics stay.

    Args:
        importance: see above.
        damping: of "si", in squared units of a weight.
        weight: of the term; None: 1.
        every: steps between two boundaries, for a stream of mini-batches that tells none; 0: the ends of experiences.
        balance: see `ContinualPlugin`.

    Raises:
        UsageError: a setting is out of range, or no importance has the name; when the strategy is made: "fisher" for a
            method that reads labels, which the pass over an experience does not have.
    """  # noqa: E501

    needs_boundaries = True
    needs_spaces = False
    on_host = (*ContinualPlugin.on_host, "steps", "boundaries", "seed")

    omega: Tensor
    reference: Tensor
    collected: Tensor
    steps: Tensor
    boundaries: Tensor
    seed: Tensor

    def __init__(
        self,
        importance: Importance = "fisher",
        damping: float = 0.1,
        weight: float | None = None,
        every: int = 0,
        balance: float | None = None,
    ) -> None:
        super().__init__(weight, every, balance)
        if importance not in get_args(Importance):
            raise unknown_name("importance", importance, get_args(Importance))
        require_positive(damping=damping)
        self.importance = importance
        self.damping = damping
        self._before: Tensor | None = None  # weights before the step
        self._gradient: Tensor | None = None  # of the step, without the penalty

    def build(self, strategy: Any) -> None:
        """Make the vectors, with one number for each trained parameter of the method.

        Raises:
            UsageError: "fisher" and a method that reads labels.
        """
        if self.importance == "fisher" and strategy.model.num_classes_read and not self.every:
            raise UsageError(
                f"importance is 'fisher', whose pass over an experience has no labels, and "
                f"{type(strategy.model).__name__} reads them: give si, mas or ones, or every=N steps"
            )
        weights = _flat(_trained(strategy)).detach()
        for name in ("omega", "reference", "collected"):
            self.register_buffer(name, torch.zeros_like(weights))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # since the last boundary
        self.register_buffer("boundaries", torch.zeros((), dtype=torch.long))
        self.register_buffer("seed", torch.randint(2**62, ()))

    def term(self, strategy: Any) -> Tensor | None:
        """The penalty, 0-d; None before the first boundary."""
        if not self.boundaries:
            return None
        return (self.omega * (_flat(_trained(strategy)) - self.reference).square()).sum() / 2

    @torch.no_grad()
    def before_update(self, strategy: Any, **kwargs: Any) -> None:
        """Note the gradient and the weights, where the importance is made of steps."""
        if self.importance == "si" or (self.importance == "fisher" and self._is_stream(strategy)):
            self._before = weights = _flat(_trained(strategy))
            self._gradient = _flat(torch.zeros_like(p) if p.grad is None else p.grad for p in _trained(strategy))
            if self.boundaries:
                self._gradient -= self.gradients.weight * self.omega * (weights - self.reference)
            elif not self.steps:
                self.reference.copy_(weights)

    @torch.no_grad()
    def after_step(self, strategy: Any) -> None:
        """Collect what the step says of importance."""
        if self._before is not None and self._gradient is not None:
            moved = _flat(_trained(strategy)) - self._before
            self.collected += self._gradient.square() if self.importance == "fisher" else -self._gradient * moved
            self._before = self._gradient = None
        elif self.importance == "mas" and self._is_stream(strategy):
            self.collected += self._sensitivity(strategy, strategy.whole(strategy.mb_x))
        self.steps += 1

    @torch.no_grad()
    def boundary(self, strategy: Any) -> None:
        """Add the importance of what was trained on since the last boundary, and take the weights as reference."""
        weights = _flat(_trained(strategy))
        if self.importance == "ones":
            self.omega.fill_(1)
        elif self.importance == "si":
            self.omega += self.collected.relu() / ((weights - self.reference).square() + self.damping)
        elif self._is_stream(strategy):
            self.omega += self.collected / self.steps.clamp(min=1)
        else:
            self.omega += self._in_one_pass(strategy)
        self.reference.copy_(weights)
        self.collected.zero_()
        self.steps.zero_()
        self.boundaries += 1

    def _is_stream(self, strategy: Any) -> bool:
        return bool(self.every) or online_part(strategy) is not None

    def _in_one_pass(self, strategy: Any) -> Tensor:
        """Mean over the batches of the experience."""
        measure = self._squared_gradient if self.importance == "fisher" else self._sensitivity
        total, batches = torch.zeros_like(self.omega), 0
        with self._aside(strategy):
            for x in strategy.images():
                if len(x) >= strategy.model.min_batch_size:
                    total += measure(strategy, x)
                    batches += 1
        return total / max(1, batches)

    def _squared_gradient(self, strategy: Any, x: Tensor) -> Tensor:
        """Squares of the gradient of the method's loss of images (B, C, H, W)."""
        strategy.mb_views = strategy.model.random_views(x)
        with torch.enable_grad():
            loss = strategy.model.loss(strategy.embed(strategy.model.embed))
        return _gradient(loss, _trained(strategy)).square()

    def _sensitivity(self, strategy: Any, x: Tensor) -> Tensor:
        """Absolute gradient of the mean squared norm of the features of images (B, C, H, W)."""
        with eval_mode(strategy.model), torch.enable_grad():
            norm = strategy.model.extract_features(x).square().sum(1).mean()
        return _gradient(norm, _trained(strategy)).abs()

    @contextmanager
    def _aside(self, strategy: Any) -> Iterator[None]:
        """A block after which training goes on as if it had not been."""
        method, views, share = strategy.model, strategy.mb_views, strategy.share
        own = method.generator
        method.generator = torch.Generator(strategy.device).manual_seed(int(self.seed + self.boundaries))
        strategy.share = None
        try:
            with isolated(), frozen_buffers(method):
                yield
        finally:
            method.generator, strategy.mb_views, strategy.share = own, views, share


def _trained(strategy: Any) -> list[nn.Parameter]:
    """The trained parameters of the method; copies that follow slowly have no gradient."""
    return [parameter for parameter in strategy.model.parameters() if parameter.requires_grad]


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    """All values as one vector."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _gradient(value: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """The gradient of a value as one vector; zeros where it does not depend on a parameter."""
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    return _flat(torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True))
