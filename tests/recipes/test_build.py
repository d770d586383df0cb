"""A tuned strategy in one call, with settings changed by keyword."""

from pathlib import Path
from typing import Any

import avalanche.training.plugins as av
import pytest
import torch
from helpers.recipes import SMALL
from helpers.streams import array_stream

from avalanche_ssl import LRSchedule, SelfSupervised, build_strategy
from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes import load_recipe
from avalanche_ssl.transforms import RandomView


def test_a_name_alone_gives_the_tuned_strategy() -> None:
    strategy, recipe = build_strategy("moco"), load_recipe("moco")
    assert isinstance(strategy, SelfSupervised)
    assert (strategy.train_mb_size, strategy.train_epochs) == (recipe.batch_size, recipe.epochs)
    expected = recipe.build().model.state_dict()
    assert all(torch.equal(entry, expected[name]) for name, entry in strategy.model.state_dict().items())


def test_keywords_go_to_the_recipe_or_to_the_strategy() -> None:
    plugin = av.SupervisedPlugin()
    strategy = build_strategy("moco", epochs=3, lr="1e-4", queue_size=32, plugins=[plugin], precision="bf16", seed=7)
    assert (strategy.train_epochs, strategy.precision) == (3, "bf16")
    assert not torch.equal(strategy.order_generator.get_state(), build_strategy("moco").order_generator.get_state())
    assert plugin in strategy.plugins
    assert strategy.optimizer.param_groups[0]["lr"] == 1e-4
    assert strategy.model.queue.rows.shape[0] == 32


def test_a_keyword_that_both_have_is_the_recipes() -> None:
    strategy = build_strategy("moco", schedule={"kind": "constant"}, max_grad_norm="2", optimizer="adamw")
    assert (strategy.schedule, strategy.max_grad_norm) == (LRSchedule("constant", strategy.schedule.warmup), 2.0)
    assert isinstance(strategy.optimizer, torch.optim.AdamW)


def test_nested_settings_are_named_with_dots_and_keywords_win() -> None:
    settings = {"augment.blur_prob": 0.5, "epochs": 2, "augment": {"hflip_prob": 0}}
    strategy = build_strategy("moco", settings=settings, epochs=4)
    assert strategy.train_epochs == 4
    augment = load_recipe("moco").build_method().augment
    assert (strategy.model.augment.blur_prob, strategy.model.augment.hflip_prob) == (0.5, 0.0)
    assert strategy.model.augment.scale == augment.scale, "the others stay as tuned"
    assert build_strategy("moco", augment=RandomView(blur_prob=0.3)).model.augment == RandomView(blur_prob=0.3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 3}, "no setting 'epoch': did you mean 'epochs'? (encoder, batch_size, epochs, "),
        ({"temprature": 3}, "no setting 'temprature': did you mean 'temperature'?"),
        ({"devise": "cpu"}, "no setting 'devise': did you mean 'device'?"),
        ({"model": None}, "no setting 'model'"),
        ({"train_mb_size": 8}, "setting 'train_mb_size' of a strategy is 'batch_size' in a recipe: give that"),
        ({"settings": {"augment.blur": 1}}, "no setting 'augment.blur': did you mean 'augment.blur_prob'?"),
        ({"settings": {"device": "cpu"}}, "no setting 'device'"),
        ({"lr": "fast"}, "setting 'lr' is 'fast': give a number"),
        ({"precision": "fp16"}, "precision 'fp16'"),
    ],
)
def test_mistakes_name_the_nearest_setting(given: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        build_strategy("moco", **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_names_and_paths_are_those_of_load_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no strategy 'mocoo': did you mean 'moco'"):
        build_strategy("mocoo")
    assert build_strategy("moco-v1").train_epochs == load_recipe("moco_v1").epochs
    text = (
        "from avalanche_ssl import Recipe\nfrom avalanche_ssl.methods import SimCLR\nrecipe = Recipe(SimCLR, epochs=9)"
    )
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    assert build_strategy(str(tmp_path / "mine.py")).train_epochs == 9


def test_it_trains(digits: Any) -> None:
    strategy = build_strategy("moco", epochs=1, queue_size=SMALL["queue_size"])
    before = [p.clone() for p in strategy.model.encoder.parameters()]
    strategy.train(digits.train_stream[0], eval_streams=[])
    assert any(not torch.equal(a, b) for a, b in zip(before, strategy.model.encoder.parameters(), strict=True))


def test_the_benchmark_decides_the_channels_and_is_tried() -> None:
    strategy = build_strategy("moco", benchmark=array_stream(13, size=40), queue_size=32)
    assert strategy.model.encoder.in_channels == 13
    assert strategy.tried == {(13, 40, 40)}
    with pytest.raises(
        UsageError, match=r"the images have 4 channels, the encoder takes 13: build it with in_channels=4"
    ):
        build_strategy("moco", benchmark=array_stream(4), in_channels=13, queue_size=32)
    with pytest.raises(UsageError, match="CMC splits colors and needs RGB, and the images have 4 channels"):
        build_strategy("cmc", benchmark=array_stream(4))


def test_a_benchmark_of_rgb_changes_no_weight() -> None:
    plain, tried = build_strategy("moco", seed=3), build_strategy("moco", seed=3, benchmark=array_stream(3))
    expected = plain.model.state_dict()
    assert all(torch.equal(entry, expected[name]) for name, entry in tried.model.state_dict().items())
    assert torch.equal(plain.view_generator.get_state(), tried.view_generator.get_state())
    assert torch.equal(plain.order_generator.get_state(), tried.order_generator.get_state())
