"""Does a recipe carry every setting of a strategy, and refuse what cannot be?"""

import dataclasses
import inspect
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers.encoders import tiny

from avalanche_ssl import LRSchedule, Recipe, check_method, methods
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, MoCo, SimCLR
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.smallconv import smallconv
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.recipes.settings import arguments, parse_settings
from avalanche_ssl.transforms.augmentation import RandomView

LEARNT = {
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
"""Numbers that each recipe learns, as it was when README's figures were measured."""


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default encoder, a quick one; the same weights in whatever order tests run."""
    torch.manual_seed(0)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)


def same(first: Recipe, second: Recipe) -> bool:
    def method(recipe: Recipe) -> object:
        return recipe.method.func if isinstance(recipe.method, partial) else recipe.method

    return first.settings == second.settings and method(first) is method(second)


# -- overrides -------------------------------------------------------------------------------------------------------


def test_override_by_flat_and_dotted_names() -> None:
    recipe = Recipe(partial(MoCo, output_dim=16), lr=0.1)
    new = recipe.override(
        {
            "lr": "1e-4",
            "epochs": 2,
            "schedule.warmup": 0.1,
            "queue_size": 32,
            "augment.blur_prob": "5e-1",
            "max_grad_norm": 1,
        }
    )
    assert (new.lr, new.epochs, new.schedule, new.max_grad_norm) == (1e-4, 2, LRSchedule(warmup=0.1), 1.0)
    assert new.settings["augment"]["blur"] == 0.5
    assert new.settings["dim"] == 16
    method = new.build_method()
    assert isinstance(method, MoCo)
    assert method.queue.rows.shape == (32, 16)
    assert method.augment == RandomView(blur_prob=0.5)
    assert same(recipe, Recipe(partial(MoCo, output_dim=16), lr=0.1)), "the first is as it was"


def test_override_takes_mappings_lists_and_null() -> None:
    recipe = Recipe(CMC, max_grad_norm=1.0).override(
        {
            "views": ["l", "ab", "edges"],
            "augment": {"scale": [0.5, 1], "flip": 0},
            "max_grad_norm": None,
            "schedule": {},
        }
    )
    assert recipe.max_grad_norm is None
    assert recipe.settings["views"] == ["l", "ab", "edges"]
    method = recipe.build_method()
    assert method.augment == RandomView(scale=(0.5, 1.0), hflip_prob=0.0)
    assert list(method.encoder) == ["l", "ab", "edges"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temprature": 1}, "no setting 'temprature': did you mean 'temperature'?"),
        ({"augment.blurr": 1}, "no setting 'augment.blurr': did you mean 'augment.blur_prob'?"),
        ({"augmnt.blur": 1}, "no setting 'augmnt.blur'"),
        ({"method": "CMC"}, "no setting 'method'"),
        ({5: 1}, "no setting '5'"),
        ({"lr": "fast"}, "setting 'lr' is 'fast': give a number"),
        ({"lr": 0}, "lr 0.0 must be above 0"),
        ({"lr": math.inf}, "lr inf must be above 0"),
        ({"lr": math.nan}, "setting 'lr' is nan: give a number"),
        ({"weight_decay": -1}, "weight_decay -1.0 not below"),
        ({"batch_size": 0}, "setting 'batch_size' is 0: give 1 or more"),
        ({"epochs": 0}, "setting 'epochs' is 0: give 1 or more"),
        ({"epochs": 1.5}, "setting 'epochs' is 1.5: give a whole number"),
        ({"epochs": True}, "setting 'epochs' is True: give a whole number"),
        ({"max_grad_norm": 0}, "setting 'clip' is 0.0: give a number above 0, or null"),
        ({"max_grad_norm": "x"}, "setting 'clip' is 'x': give a number or null"),
        ({"encoder": "resnt18"}, "no encoder 'resnt18': did you mean 'resnet18'?"),
        ({"encoder": False}, "setting 'encoder' is False: give a word"),
        ({"optimizer": "adm"}, "no value for 'optimizer' 'adm': did you mean 'adam'?"),
        ({"schedule.kind": "cosin"}, "did you mean 'cosine'?"),
        ({"schedule.warmup": 2}, "schedule warmup 2.0 must be in [0, 1)"),
        ({"schedule": 3}, "setting 'schedule' is 3: give schedule.KEY=VALUE"),
        ({"augment.hflip_prob": 2}, "flip"),
        ({"augment.scale": [0.5]}, "setting 'augment.scale' is [0.5]: give a list of 2 values"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(changes: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        Recipe(MoCo).override(changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        (CMC, {"views": ["l"]}, "two or more of l, ab, edges"),
        (CMC, {"negatives": "batch", "objective": "nce"}, "objective 'nce' needs negatives='bank'"),
        (MoCo, {"queue_size": 0}, "size and dim of at least 1"),
        (MoCo, {"momentum": 2}, "not in [0, 1]"),
        (SimCLR, {"hidden_dim": -1}, "setting 'hidden' is -1"),
        (SimCLR, {"dim": 0}, "setting 'dim' is 0: give a number above 0"),
        (SimCLR, {"temperature": -0.1}, "setting 'temperature' is -0.1"),
        (MoCo, {"temperature": 0}, "setting 'temperature' is 0.0"),
        (CMC, {"count": 0}, "setting 'count' is 0"),
    ],
)
def test_settings_that_build_no_method_are_refused_in_one_line(method: Any, changes: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        Recipe(method).override(changes).build_method()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_checks_what_python_gives_it() -> None:
    with pytest.raises(UsageError, match="did you mean 'adam'"):
        Recipe(MoCo, optimizer="adm")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Recipe\(MoCo\), not Recipe\(MoCo\(...\)\)"):
        Recipe(MoCo(tiny))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is the class"):
        Recipe("moco")  # type: ignore[arg-type]


def test_an_argument_of_the_method_cannot_hide_a_field() -> None:
    class Clash(MoCo):
        def __init__(self, encoder: Any, lr: float = 1.0) -> None:
            super().__init__(encoder)

    with pytest.raises(UsageError, match="argument 'lr' of the method is a setting of every recipe"):
        Recipe(Clash)


@pytest.mark.parametrize(
    "recipe", [Recipe(CMC), Recipe(partial(MoCo, augment=RandomView(blur_prob=0.5), output_dim=8), max_grad_norm=1e-7)]
)
def test_settings_travel_as_yaml(recipe: Recipe) -> None:
    written = yaml.safe_dump(recipe.settings)
    again = Recipe(CMC if recipe.method is CMC else MoCo).override(yaml.safe_load(written))
    assert same(again, recipe)
    assert yaml.safe_dump(again.settings) == written
    first, second = recipe.build(seed=3).model.state_dict(), again.build(seed=3).model.state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_settings_of_a_parent_and_of_functions() -> None:
    """A subclass without its own __init__ has its parent's settings; what YAML cannot write is left to Python."""

    class Child(MoCo): ...

    class WithFunction(SimCLR):
        def __init__(self, encoder: Any, activation: Any = torch.relu, dim: int = 8) -> None:
            super().__init__(encoder, dim)

    assert Recipe(Child).settings == Recipe(MoCo).settings
    assert Recipe(WithFunction).override({"dim": 4}).settings["dim"] == 4
    assert "activation" not in Recipe(WithFunction).settings


# -- build -----------------------------------------------------------------------------------------------------------


def test_build_seeds_the_weights_and_leaves_the_global_random_state_alone() -> None:
    recipe = Recipe(partial(MoCo, output_dim=8, queue_size=16))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = recipe.build(seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(9)
    second, other = recipe.build(seed=1), recipe.build(seed=2)
    a, b, c = (s.model.state_dict() for s in (first, second, other))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["queue.rows"], c["queue.rows"])
    assert torch.equal(first.order_generator.get_state(), second.order_generator.get_state())
    assert not torch.equal(first.order_generator.get_state(), other.order_generator.get_state())


def test_build_hands_every_setting_on() -> None:
    recipe = Recipe(SimCLR, batch_size=7, epochs=3, lr=0.5, max_grad_norm=2.0, schedule=LRSchedule("constant"))
    strategy = recipe.build(precision="bf16", eval_mb_size=11)
    assert (strategy.train_mb_size, strategy.train_epochs, strategy.eval_mb_size) == (7, 3, 11)
    assert (strategy.max_grad_norm, strategy.schedule, strategy.precision) == (2.0, LRSchedule("constant"), "bf16")


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_biases_and_norms_have_no_weight_decay(name: Any, kind: type) -> None:
    strategy = Recipe(partial(MoCo, output_dim=8, queue_size=16), optimizer=name, lr=0.5, weight_decay=0.1).build()
    optimizer = strategy.optimizer
    assert type(optimizer) is kind
    assert optimizer.defaults.get("momentum", 0.9) == 0.9
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert all(group["lr"] == 0.5 for group in optimizer.param_groups)
    trained = {n: p for n, p in strategy.model.named_parameters() if p.requires_grad}
    assert decay.keys() == {id(p) for p in trained.values()}, "all that is trained, nothing of the slow copy"
    for parameter_name, p in trained.items():
        assert decay[id(p)] == (0.0 if parameter_name.endswith("bias") or p.ndim == 1 else 0.1), parameter_name


# -- strategies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_names())
def test_every_strategy_keeps_the_contract(name: str) -> None:
    recipe = load_recipe(name)
    assert same(Recipe(recipe.method).override(yaml.safe_load(yaml.safe_dump(recipe.settings))), recipe)
    small = {"capacity": 256, "queue_size": 256, "count": 64, "dim": 16}
    check_method(recipe.override({k: v for k, v in small.items() if k in recipe.settings}).build_method())


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
    assert {cls.__name__ for cls in used} == set(methods.__all__)


@pytest.mark.parametrize("name", methods.__all__)
def test_settings_of_methods_are_all_declared(name: str) -> None:
    """Each argument but the encoder has a type and a plain default, and none is called like a field of Recipe."""
    method = getattr(methods, name)
    typed = arguments(method)
    assert typed.keys() == inspect.signature(method).parameters.keys() - {"encoder"}
    assert all(kind is not Any for kind, _ in typed.values())
    assert not typed.keys() & {field.name for field in dataclasses.fields(Recipe)}


# -- files -----------------------------------------------------------------------------------------------------------

MINE = """
from __future__ import annotations

from dataclasses import dataclass

from avalanche_ssl import Recipe
from avalanche_ssl.methods import SimCLR


@dataclass(frozen=True)
class Extra:
    weights: tuple[float, ...] = (1.0, 2.0)


class Mine(SimCLR):
    def __init__(self, encoder, dim: int = 8, extra: Extra = Extra()) -> None:
        super().__init__(encoder, dim)
        self.extra = extra


recipe = Recipe(Mine, lr=0.01)
"""


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_file_of_ones_own_with_its_own_method(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, MINE)).override({"extra.weights": [3], "dim": 4})
    method = recipe.build_method()
    assert type(method).__name__ == "Mine"
    assert method.extra.weights == (3.0,)
    assert recipe.settings["extra"] == {"weights": [3.0]}
    assert recipe.lr == 0.01
    check_method(method)


def test_a_file_beside_is_found_by_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, MINE)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("mine.py").lr == 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "defines no `recipe = Recipe(...)`: add one"),
        ("recipe = 5", "defines no `recipe = Recipe(...)`: add one"),
        ("\n\ndef f(:\n", ", line 3: SyntaxError: invalid syntax"),
        ("x = 1\n\nimport nowhere_at_all", ", line 3: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def f():\n    raise KeyError('a\\nb')\nf()", r", line 2: KeyError: 'a\nb'"),
        ("raise ValueError('a\\n  b')", ", line 1: ValueError: a b"),
        (
            "from avalanche_ssl import Recipe\nfrom avalanche_ssl.methods import MoCo\n"
            "recipe = Recipe(MoCo, encoder='smalconv')",
            ", line 3: no encoder 'smalconv': did you mean 'smallconv'?",
        ),
        ("x = '\0'", "source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_gives_no_recipe_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as error:
        load_recipe(path)
    assert message in str(error.value)
    assert str(error.value).startswith(path)
    assert "\n" not in str(error.value)


def test_a_strategy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no strategy 'mocoo': did you mean 'moco'\? \(.*cmc.*\); or give the path"):
        load_recipe("mocoo")
    with pytest.raises(UsageError, match=r"no strategy file '.*absent.py': give a path to a Python file"):
        load_recipe(str(tmp_path / "absent.py"))
    with pytest.raises(UsageError, match=r"no strategy 'x': choose one \(none\)"):
        load_recipe("x", tmp_path)


def test_names_of_recipes(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "_private.py", "readme.md"):
        write(tmp_path, "", name)
    assert recipe_names(tmp_path) == ["a", "b"]


def test_settings_of_a_command_line() -> None:
    pairs = ["lr=1e-4", "views=[l, ab]", "clip=null", "augment.blur_prob=0.5", "name=a=b", "empty="]
    assert parse_settings(pairs) == {
        "lr": "1e-4",
        "views": ["l", "ab"],
        "max_grad_norm": None,
        "augment.blur_prob": 0.5,
        "name": "a=b",
        "empty": None,
    }


@pytest.mark.parametrize("pair", ["lr", "=5", "lr=[1", "lr=2024-99-99", "lr={a: b: c}"])
def test_a_pair_that_is_none(pair: str) -> None:
    with pytest.raises(UsageError, match=r"^setting '") as error:
        parse_settings([pair])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", recipe_names())
def test_measured_figures_are_of_these_networks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails, a layer has come or gone: measure the recipe again before its number is changed here."""
    monkeypatch.setitem(ENCODERS, "smallconv", smallconv)
    method = load_recipe(name).build_method()
    assert sum(p.numel() for p in method.parameters() if p.requires_grad) == LEARNT[name]
