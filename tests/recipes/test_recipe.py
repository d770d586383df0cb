"""A recipe carries every setting of a strategy and refuses impossible ones."""

import copy
import math
import pickle
from functools import partial
from typing import Any

import pytest
import torch
import yaml
from helpers.encoders import tiny
from helpers.recipes import same

from avalanche_ssl import LRSchedule, Recipe
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, DeepCluster, MoCo, SimCLR
from avalanche_ssl.transforms.augmentation import RandomView

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
    assert new.settings["augment"]["blur_prob"] == 0.5
    assert new.settings["output_dim"] == 16
    method = new.build_method()
    assert isinstance(method, MoCo)
    assert method.queue.rows.shape == (32, 16)
    assert method.augment == RandomView(blur_prob=0.5)
    assert same(recipe, Recipe(partial(MoCo, output_dim=16), lr=0.1)), "the first is as it was"


def test_override_takes_mappings_lists_and_null() -> None:
    recipe = Recipe(CMC, max_grad_norm=1.0).override(
        {
            "views": ["l", "ab", "edges"],
            "augment": {"scale": [0.5, 1], "hflip_prob": 0},
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
        ({"max_grad_norm": 0}, "setting 'max_grad_norm' is 0.0: give a number above 0, or null"),
        ({"max_grad_norm": "x"}, "setting 'max_grad_norm' is 'x': give a number or null"),
        ({"encoder": "resnt18"}, "no encoder 'resnt18': did you mean 'resnet18'?"),
        ({"encoder": False}, "setting 'encoder' is False: give a word"),
        ({"optimizer": "adm"}, "no value for 'optimizer' 'adm': did you mean 'adam'?"),
        ({"schedule.kind": "cosin"}, "did you mean 'cosine'?"),
        ({"schedule.warmup": 2}, "schedule warmup 2.0 must be in [0, 1)"),
        (
            {"schedule": "step"},
            "setting 'schedule' is 'step': give its parts, e.g. schedule.kind=VALUE "
            "(schedule.kind, schedule.warmup, schedule.final)",
        ),
        ({"schedule.kind": "step"}, "no value for 'schedule.kind' 'step': choose one (cosine, constant)"),
        ({"augment.hflip_prob": 2}, "hflip_prob"),
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
        (SimCLR, {"hidden_dim": -1}, "setting 'hidden_dim' is -1"),
        (SimCLR, {"output_dim": 0}, "setting 'output_dim' is 0: give a number above 0"),
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lrr": 1}, "no setting 'lrr': did you mean 'lr'? (method, encoder, "),
        (
            {"temperature": 0.2},
            "setting 'temperature' is of the method: give partial(SimCLR, temperature=...) to the re",
        ),
        ({"lr": "fast"}, "setting 'lr' is 'fast': give a number"),
        ({"lr": math.nan}, "setting 'lr' is nan: give a number"),
        ({"batch_size": 64.0}, "setting 'batch_size' is 64.0: give a whole number"),
        ({"epochs": None}, "setting 'epochs' is None: give a whole number"),
        ({"encoder": tiny}, "setting 'encoder' is "),
        ({"schedule": "cosine"}, "setting 'schedule' is 'cosine': give its parts, e.g. schedule.kind=VALUE ("),
    ],
)
def test_arguments_of_a_recipe_are_checked_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Recipe(SimCLR, **settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_recipe_can_be_copied_and_pickled() -> None:
    recipe = Recipe(SimCLR, lr="1e-3", schedule=LRSchedule("constant"))  # type: ignore[arg-type]
    assert recipe.lr == 0.001
    assert copy.deepcopy(recipe) == pickle.loads(pickle.dumps(recipe)) == recipe


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


def test_settings_for_a_stream_of_mini_batches() -> None:
    one_step = {"epochs": 1, "schedule.kind": "constant", "schedule.warmup": 0.0}
    assert Recipe(SimCLR).online_defaults == one_step
    assert Recipe(partial(DeepCluster, version=1)).online_defaults == one_step | DeepCluster.online_defaults
    assert DeepCluster.online_defaults


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


def test_build_passes_every_setting_on() -> None:
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
    assert decay.keys() == {id(p) for p in trained.values()}, "all that is trained, nothing of the momentum encoder"
    for parameter_name, p in trained.items():
        assert decay[id(p)] == (0.0 if parameter_name.endswith("bias") or p.ndim == 1 else 0.1), parameter_name


def test_channels_come_from_the_stream_unless_they_are_set() -> None:
    recipe = Recipe(SimCLR)
    assert recipe.build_method().encoder.in_channels == 3
    assert recipe.for_images([(13, 8, 8), (13, 9, 9)]).in_channels == 13
    assert recipe.for_images([(1, 8, 8), (3, 8, 8)]).in_channels == 3
    assert recipe.for_images([]) is recipe
    own = recipe.override({"in_channels": 4})
    assert own.for_images([(13, 8, 8)]) is own
    assert own.build_method().encoder.in_channels == own.settings["in_channels"] == 4
    with pytest.raises(UsageError, match="the experiences have images of 13, 3 channels: give all as many"):
        recipe.for_images([(13, 8, 8), (3, 8, 8)])


def test_channels_that_fit_no_method() -> None:
    with pytest.raises(UsageError, match="setting 'in_channels' is 0: give 1 or more, or null"):
        Recipe(SimCLR, in_channels=0)
    with pytest.raises(UsageError, match="CMC splits colors and needs RGB"):
        Recipe(CMC, in_channels=4).build_method()
    assert set(Recipe(CMC, in_channels=3).build_method().encoder) == {"l", "ab"}
