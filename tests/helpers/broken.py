"""Methods that break a rule of the contract, and their tests."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from avalanche_ssl.checks import CHECKS, ContractError, check_method, textured
from avalanche_ssl.methods import CMC, Method, MoCo, SimCLR
from helpers.methods import narrow

SMALL_MOCO = {"output_dim": 16, "queue_size": 24}
SMALL_CMC = {"output_dim": 16, "capacity": 24, "count": 12}


def build(cls):
    """A small method of a subclass of MoCo, CMC or SimCLR."""
    torch.manual_seed(0)
    settings = {MoCo: SMALL_MOCO, CMC: SMALL_CMC, SimCLR: {"output_dim": 16}}
    return cls(narrow, **next(small for base, small in settings.items() if issubclass(cls, base)))


class Broken(list):
    """Parameters of tests, one per method that breaks a rule."""

    def breaks(self, rule: str, found: str = "") -> Callable[[type[Method]], type[Method]]:
        """Decorate a method that breaks `rule`, with words of the message."""

        def add(cls: type[Method]) -> type[Method]:
            self.append(pytest.param(cls, rule, found, id=cls.__name__))
            return cls

        return add


class Remembering(MoCo):
    """MoCo that also counts in `remember`."""

    def update(self, outputs):
        super().update(outputs)
        self.remember(outputs)


def assert_caught(cls: type[Method], rule: str, found: str) -> None:
    """The method is refused by the name of the rule, with words of the finding."""
    with pytest.raises(ContractError) as caught:
        check_method(build(cls), textured(8))
    assert str(caught.value).startswith(f'{cls.__name__} breaks "{rule}": ')
    assert found in str(caught.value)


def assert_complete(broken: Broken, module: ModuleType) -> None:
    """Each rule of a module has a broken method and a docstring."""
    checks = [check for check in CHECKS if check.__module__ == module.__name__]
    assert {check.__name__ for check in checks} == {param.values[1] for param in broken}
    assert all(check.__doc__ for check in checks)
