"""Contracts of all strategies: what every recipe and the method that it builds must keep."""

import dataclasses
import inspect
import math
from functools import partial
from typing import Any

import pytest
import torch
import yaml
from helpers.recipes import same, shrunk
from helpers.streams import array_stream

from avalanche_ssl import Recipe, check_method, methods
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import Method
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.settings import arguments, flatten

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
    "cmc_bank": 327536,
    "cmc_full": 306507,
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
    "simclr": 487840,
    "simsiam": 914976,
    "supervised": 414596,
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


def numbers(recipe: Recipe) -> dict[str, Any]:
    """The settings that are numbers or lists of numbers, nested ones too."""
    settings = flatten(recipe.settings) | {"max_grad_norm": 1.0}
    lists = {name: value if isinstance(value, list) else [value] for name, value in settings.items()}
    return {n: settings[n] for n, v in lists.items() if all(type(each) in (int, float) for each in v)}


@pytest.mark.parametrize("number", [-2, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", recipe_names())
def test_every_strategy_refuses_senseless_numbers_in_one_line(name: str, number: float) -> None:
    recipe = load_recipe(name)
    found = numbers(recipe)
    assert {"lr", "weight_decay", "schedule.final", "augment.hue", "augment.scale", "augment.std"} <= found.keys()
    for setting, value in found.items():
        if number == -2 and setting.endswith(".mean"):
            continue  # a mean has any sign
        with pytest.raises(UsageError, match=r"-2|inf|nan") as error:
            recipe.override({setting: [number] * len(value) if isinstance(value, list) else number}).build_method()
        assert "\n" not in str(error.value), setting
        if isinstance(value, list) and len(value) == 2 and number > 0:  # a range without an end
            with pytest.raises(UsageError, match="inf"):
                recipe.override({setting: [value[0], number]}).build_method()


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 4, 13])
@pytest.mark.parametrize("name", recipe_names())
def test_every_strategy_takes_any_number_of_channels(name: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on images of one, four and thirteen channels as on RGB, or refused before because it needs color."""
    monkeypatch.setitem(ENCODERS, "smallconv", partial(smallconv, width=4))
    recipe = shrunk(load_recipe(name), batch_size=16, epochs=1)
    stream = array_stream(channels)
    if name.startswith("cmc"):
        with pytest.raises(
            UsageError, match=f"CMC splits colors and needs RGB, and the images have {channels} channel"
        ):
            recipe.build(benchmark=stream)
        return
    strategy = recipe.build(benchmark=stream)
    before = [p.clone() for p in strategy.model.encoder.parameters()]
    strategy.train(stream.train_stream, eval_streams=[])
    assert any(not torch.equal(a, b) for a, b in zip(before, strategy.model.encoder.parameters(), strict=True))
    images = torch.randint(0, 256, (4, channels, 32, 32), dtype=torch.uint8)
    features = strategy.model.eval().extract_features(images)
    assert features.isfinite().all()
    swapped = strategy.model.extract_features(images.roll(1, dims=1))
    assert channels == 1 or not torch.equal(features, swapped), "channels are not averaged"


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
