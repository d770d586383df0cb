"""How strong the gradient of a plugin's term is beside that of the method's loss, and a weight that keeps them so."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from avalanche_ssl.distributed import average
from avalanche_ssl.errors import UsageError, require_positive
from avalanche_ssl.methods import Method
from avalanche_ssl.plugins.encoder_calls import encoders
from avalanche_ssl.plugins.host_counters import HostCounters


class GradientBalance(HostCounters):
    """Measures both gradients on the last layers of the encoders, and balances them where this is wanted.

    One weight does not serve all methods: on an encoder the gradient of a distillation is half of SimCLR's, and fifty
    times that of CPC, whose loss is flat at the start. With a balance b the term gets the weight

        ``b * mean |gradient of the method's loss| / mean |gradient of the term|``,

    both norms as exponential moving averages. Two short backward passes, which end in the last layer, are made every
    `EVERY` steps, with a balance also in the first `WARMUP` ones; of compiled encoders nothing is measured.

    A copy that is taken at a boundary equals its method, and the gradient between them is zero or, with a predictor,
    not yet that of the steps to come. So measurements begin `SETTLE` steps after a boundary. Only while there is none
    yet, those steps but the first count for the time being: with a balance, the first step of the first term has the
    weight 0 then.

    Args:
        balance: the ratio b of the two gradients; None: only measure, the weight is as given.

    Raises:
        UsageError: the balance is not above 0.
    """

    EVERY = 20
    """Steps from one measurement to the next."""
    WARMUP = 10
    """Measurements at the start that are made in consecutive steps, with a balance."""
    SETTLE = 5
    """Steps after a boundary in which a method is still near its copy."""
    MOMENTUM = 0.9
    """Weight of the past in the moving averages, which begin as plain means."""
    LIMIT = 1000.0
    """Largest weight, for terms that have almost no gradient yet."""

    on_host = ("steps", "age", "settled")

    steps: Tensor
    age: Tensor
    settled: Tensor
    measured: Tensor
    ratio: Tensor
    weight: Tensor
    norms: Tensor
    term: Tensor

    def __init__(self, balance: float | None = None) -> None:
        super().__init__()
        if balance is not None:
            require_positive(balance=balance)
        self.balance = balance
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # that had a term
        self.register_buffer("age", torch.tensor(self.SETTLE))  # of these, how many since the last boundary
        self.register_buffer("settled", torch.zeros((), dtype=torch.long))  # measurements since `SETTLE`, of any value
        self.register_buffer("measured", torch.zeros((), dtype=torch.long))  # those of finite values
        self.register_buffer("ratio", torch.tensor(math.nan))  # |term| / |method's loss|, the latest that is defined
        self.register_buffer("weight", torch.tensor(math.nan))  # of the term, the latest
        self.register_buffer("norms", torch.zeros(2))  # averages of |term| and |method's loss|
        self.register_buffer("term", torch.tensor(math.nan))  # without its weight, the latest

    def begin(self) -> None:
        """Note a boundary: the term compares with another model from now on."""
        self.age.zero_()

    def weigh(self, term: Tensor, weight: float, strategy: Any) -> Tensor:
        """The weighted term.

        Args:
            term: of this step, 0-d.
            weight: its weight without a balance.
            strategy: gives the method and `method_loss`.
        """
        age, settled = int(self.age), int(self.settled)
        self.steps += 1
        self.age += 1
        self.term.copy_(term.detach())
        in_turn = self.balance is not None and settled < self.WARMUP
        if age >= self.SETTLE and (in_turn or (age - self.SETTLE) % self.EVERY == 0):
            self.settled += 1
            self._measure(term, strategy)
        elif not settled and 0 < age < self.SETTLE and (in_turn or age == 1):
            self._measure(term, strategy, for_now=True)
        if self.balance is None:
            self.weight.fill_(weight)
            return weight * term
        of_term, of_loss = self.norms
        balanced = (self.balance * of_loss / of_term).clamp(max=self.LIMIT)
        self.weight.copy_(torch.where(of_term > 0, balanced, 0.0))
        return self.weight.clone() * term

    def _measure(self, term: Tensor, strategy: Any, for_now: bool = False) -> None:
        """Follow the norms of both gradients; those that are not finite do not count.

        Args:
            term, strategy: as of `weigh`.
            for_now: the next measurement takes the place of this one.
        """
        layers = last_layers(strategy.model)
        if not layers or is_compiled(strategy.model):
            return
        norms = torch.stack([gradient_norm(loss, layers) for loss in (term, strategy.method_loss)])
        finite = norms.isfinite().all()
        if not for_now:
            self.measured += finite
        past = (1 - 1 / self.measured.clamp(min=1)).clamp(max=self.MOMENTUM)
        self.norms.copy_(torch.where(finite, past * self.norms + (1 - past) * norms, self.norms))
        self.ratio.copy_(torch.where(finite & (norms[1] > 0), norms[0] / norms[1], self.ratio))


def check_balance(name: str, strategy: Any) -> None:
    """Refuse to balance where gradients cannot be compared.

    Raises:
        UsageError: nothing of the encoder is trained, or it is compiled.
    """
    kind = type(strategy.model).__name__
    if not last_layers(strategy.model):
        raise UsageError(
            f"balance compares gradients on the encoder's last layer, and nothing of the encoder of {kind} is trained: "
            f"give {name} a weight instead, or train the encoder"
        )
    if strategy.compile or is_compiled(strategy.model):
        raise UsageError(
            f"balance takes two more backward passes, which the compiled encoder of {kind} does not allow: give {name} "
            "a weight instead, or do not compile"
        )


def last_layers(method: Method) -> list[nn.Parameter]:
    """The last trained weight of each encoder, a matrix or a kernel where there is one; [] if nothing is trained."""
    found = []
    for encoder in encoders(method):
        trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        found += ([p for p in trained if p.ndim > 1] or trained)[-1:]
    return found


def is_compiled(method: Method) -> bool:
    """Whether a part of the method is compiled code, whose backward pass overwrites what a second one would read."""
    return any(
        hasattr(module, "_orig_mod")  # made by torch.compile(module)
        or module._compiled_call_impl is not None  # by module.compile()
        or getattr(module, "_training_pass", None) is not None  # of an `Encoder`
        for module in method.modules()
    )


def gradient_norm(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """Norm of the gradient of a loss with respect to all the parameters together; the graph is kept."""
    if not loss.requires_grad:
        return loss.new_zeros(())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    found = [gradient for gradient in gradients if gradient is not None]
    average(found)
    norms = [gradient.norm() for gradient in found]
    return torch.stack(norms).norm() if norms else loss.new_zeros(())
