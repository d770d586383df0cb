"""Contracts of all strategies: what every recipe and the method that it builds must keep."""

import dataclasses
import inspect
from functools import partial
from typing import Any

import pytest
import yaml
from helpers.recipes import same, shrunk

from avalanche_ssl import Recipe, check_method, methods
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.settings import arguments

pytestmark = pytest.mark.contract
METHODS = [
    name
    for name in methods.__all__
    if isinstance(cls := getattr(methods, name), type) and issubclass(cls, Method) and cls.loss is not Method.loss
]
"""All methods; base classes define no loss."""
TRAINED_PARAMETERS = {
    "barlow_twins": 586784,
    "byol": 652320,
    "cmc": 261232,
    "cmc_bank": 261488,
    "cmc_full": 222795,
    "cpc": 615520,
    "cpc_v2": 1246240,
    "deepcluster": 487840,
    "deepcluster_v1": 512608,
    "moco": 487968,
    "moco_symmetric": 487968,
    "moco_v1": 421920,
    "moco_v3": 915232,
    "pirl": 849312,
    "pirl_rotation": 587040,
    "simclr": 487968,
    "simsiam": 914976,
    "supervised": 480644,
    "swav": 504224,
    "swav_multicrop": 504224,
    "vicreg": 586784,
}
"""Number of trained parameters of each recipe when the published figures were measured."""


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_strategy_keeps_the_contract(name: str) -> None:
    recipe = load_recipe(name)
    assert same(Recipe(recipe.method).override(yaml.safe_load(yaml.safe_dump(recipe.settings))), recipe)
    check_method(shrunk(recipe).build_method())


@pytest.mark.parametrize("name", recipe_names())
def test_every_strategy_refuses_numbers_below_0_in_one_line(name: str) -> None:
    recipe = load_recipe(name)
    numbers = [k for k, v in recipe.settings.items() if isinstance(v, int | float) and not isinstance(v, bool)]
    assert len(numbers) > 3
    for setting in numbers:
        with pytest.raises(UsageError, match="-2") as error:
            recipe.override({setting: -2}).build_method()
        assert "\n" not in str(error.value), setting


def test_every_method_has_a_strategy() -> None:
    recipes = [load_recipe(name) for name in recipe_names()]
    used = {r.method.func if isinstance(r.method, partial) else r.method for r in recipes}
    assert {cls.__name__ for cls in used} == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_settings_of_methods_are_all_declared(name: str) -> None:
    """Each argument but the encoder has a type and a plain default, and none is called like a field of Recipe."""
    method = getattr(methods, name)
    typed = arguments(method)
    assert typed.keys() == inspect.signature(method).parameters.keys() - {"encoder"}
    assert all(kind is not Any for kind, _ in typed.values())
    assert not typed.keys() & {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("name", recipe_names())
def test_measured_figures_are_of_these_networks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails, a layer was added or lost: measure the recipe again before its number is changed here."""
    monkeypatch.setitem(ENCODERS, "smallconv", smallconv)
    method = load_recipe(name).build_method()
    assert sum(p.numel() for p in method.parameters() if p.requires_grad) == TRAINED_PARAMETERS[name]
