"""Small continual plugins, and those that break a rule of their contract."""

from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest
from torch import nn
from torch.nn import functional as F

from avalanche_ssl.checks import PLUGIN_CHECKS, ContractError, check_plugin
from avalanche_ssl.plugins import ContinualPlugin, Replay, Teacher
from helpers.strategies import simclr

memory = partial(Replay, size=24)


def distance(strategy, past):
    """Mean squared distance of present embeddings to others, summed over spaces and views."""
    pairs = zip(strategy.model.embeddings(strategy.mb_output), past, strict=True)
    return sum(F.mse_loss(now, old) for new, others in pairs for now, old in zip(new, others, strict=True))


class Tether(ContinualPlugin):
    """Embeddings stay near those of the last experience's model."""

    needs_boundaries = True

    def build(self, strategy):
        self.teacher = Teacher(strategy.model)

    def term(self, strategy):
        return distance(strategy, self.teacher.embeddings(strategy)) if self.teacher.taken else None

    def boundary(self, strategy):
        self.teacher.take(strategy.model)


class Centered(ContinualPlugin):
    """Embeddings stay near zero, through a head of its own; without boundaries and memory."""

    def build(self, strategy):
        self.head = nn.Linear(8, 8)

    def term(self, strategy):
        return self.head(strategy.mb_output["first"]).square().mean()


class BrokenPlugins(list):
    """Parameters of tests, one per plugin that breaks a rule."""

    def breaks(self, rule: str, found: str = "") -> Callable[[type], type]:
        """Decorate a plugin that breaks `rule`, with words of the message."""

        def add(cls: type) -> type:
            self.append(pytest.param(cls, rule, found, id=cls.__name__))
            return cls

        return add


def assert_caught(cls, rule, found, method=None):
    """The plugin is refused by the name of the rule, with words of the finding."""
    with pytest.raises(ContractError) as caught:
        check_plugin(memory_of(cls), method or simclr())
    message = str(caught.value)
    assert message.startswith(f'{cls.__name__} with {type(method or simclr()).__name__} breaks "{rule}": '), message
    assert found in message and "\n" not in message


def memory_of(cls):
    """A plugin; a `Replay` is small."""
    return cls(size=24) if issubclass(cls, Replay) else cls()


def assert_complete(broken: BrokenPlugins, module: ModuleType) -> None:
    """Each rule of a module has a broken plugin and a docstring."""
    checks = [check for check in PLUGIN_CHECKS if check.__module__ == module.__name__]
    assert {check.__name__ for check in checks} == {param.values[1] for param in broken}
    assert all(check.__doc__ for check in checks)
