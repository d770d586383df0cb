"""Methods that start from given weights: encoders, their copies, and everything else as without them."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from avalanche_ssl import build_strategy
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import BYOL, CMC, MoCo, SimCLR
from avalanche_ssl.models import read_weights, smallconv
from avalanche_ssl.recipes import Recipe

OTHER = partial(smallconv, width=6)
MOCO = partial(MoCo, queue_size=64, output_dim=8)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def state_of(module: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("method", [SimCLR, MOCO, BYOL])
def test_the_encoder_its_copy_and_nothing_else(method: Any) -> None:
    recipe = Recipe(method)
    given = recipe.build_method(7).encoder
    torch.save(given.state_dict(), "e.pt")
    plain, own = recipe.build_method(0), recipe.build_method(0, read_weights("e.pt"))
    assert same(state_of(own.encoder), state_of(given)) and not same(state_of(plain.encoder), state_of(given))
    assert same(state_of(own.projection_head), state_of(plain.projection_head)), "drawn as without weights"
    if hasattr(own, "momentum_encoder"):
        assert same(state_of(own.momentum_encoder.copy[0]), state_of(given))
        assert same(state_of(own.momentum_encoder.copy[1]), state_of(plain.projection_head))
    others = [name for name in plain.state_dict() if not name.startswith(("encoder.", "momentum_encoder."))]
    assert all(torch.equal(own.state_dict()[name], plain.state_dict()[name]) for name in others)


def test_the_global_random_state_is_where_it_would_be() -> None:
    recipe = Recipe(MOCO)
    torch.save(recipe.build_method(7).encoder.state_dict(), "e.pt")
    ends = []
    for init in (None, read_weights("e.pt")):
        torch.manual_seed(1)
        recipe.build_method(init=init)
        ends.append(torch.get_rng_state())
    assert torch.equal(*ends)


def test_each_encoder_of_a_view_gets_its_own_weights() -> None:
    recipe = Recipe(partial(CMC, negatives="batch"))
    given = recipe.build_method(7).encoder
    torch.save(given.state_dict(), "e.pt")
    assert same(state_of(recipe.build_method(0, read_weights("e.pt")).encoder), state_of(given))


class Longer(SimCLR):
    """A method that adds a layer to the encoder which it was given."""

    def __init__(self, encoder: Any) -> None:
        super().__init__(encoder, 8)
        self.encoder.stages.append(torch.nn.Conv2d(256, 256, 1))


def test_a_method_that_alters_its_encoder() -> None:
    recipe = Recipe(Longer)
    given = recipe.build_method(7).encoder
    torch.save(given.state_dict(), "e.pt")
    own = recipe.build_method(0, read_weights("e.pt")).encoder
    assert same(state_of(own), state_of(given))


def test_build_strategy_starts_from_given_weights() -> None:
    given = build_strategy("moco", plugins=[], seed=3).model.encoder
    torch.save({"state_dict": {f"module.encoder_q.{n}": v for n, v in given.state_dict().items()}}, "moco.pth.tar")
    strategy = build_strategy("byol", plugins=[], init="moco.pth.tar")
    assert same(state_of(strategy.model.encoder), state_of(given))
    assert same(state_of(strategy.model.momentum_encoder.copy[0]), state_of(given))
    with pytest.raises(UsageError, match="no weights 'nowhere"):
        build_strategy("byol", plugins=[], init="nowhere.pt")
    with pytest.raises(UsageError, match="torchvision has no pretrained network 'smallconv'"):
        build_strategy("byol", plugins=[], init="torchvision")
    torch.save(OTHER().state_dict(), "other.pt")
    with pytest.raises(UsageError, match=r"other.pt do not fit the encoder: 0 of 20 tensors"):
        build_strategy("byol", plugins=[], init="other.pt")
