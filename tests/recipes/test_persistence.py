"""Every recipe carries its memory over, from experience to experience and through a file."""

import copy
import io

import avalanche.training.plugins as av
import numpy as np
import pytest
import torch
from helpers.recipes import shrunk

from avalanche_ssl.checks.harness import textured
from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.models.norms import STATISTICS
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.recipes.loading import load_recipe
from avalanche_ssl.streams.benchmark import benchmark_from_parts

pytestmark = pytest.mark.contract
SIZES = {"batch_size": 32, "epochs": 2, "queue_size": 64, "freeze": 2}
WEIGHTS = ("",)
"""All of the state: methods without another memory."""
MEMORY = {
    "barlow_twins": WEIGHTS,
    "byol": ("momentum_encoder.",),
    "cmc": WEIGHTS,
    "cmc_bank": ("bank.",),
    "cmc_full": WEIGHTS,
    "cpc": WEIGHTS,
    "cpc_v2": WEIGHTS,
    "deepcluster": ("bank.", "clusters."),
    "deepcluster_v1": ("bank.", "clusters.", "classifier."),
    "moco": ("queue.", "momentum_encoder."),
    "moco_symmetric": ("queue.", "momentum_encoder."),
    "moco_v1": ("queue.", "momentum_encoder."),
    "moco_v3": ("momentum_encoder.",),
    "pirl": ("bank.",),
    "pirl_rotation": ("bank.",),
    "simclr": WEIGHTS,
    "simsiam": WEIGHTS,
    "supervised": WEIGHTS,
    "swav": ("prototypes.", "queues."),
    "swav_multicrop": ("prototypes.", "queues."),
    "vicreg": WEIGHTS,
}
"""Memory of each recipe, as prefixes of names in its `state_dict`."""


@pytest.fixture(scope="module")
def stream():
    """Two experiences of 96 textures that share a third: otherwise no row of a bank would be a positive again."""
    images = textured(160).permute(0, 2, 3, 1).numpy()
    data, parts = ArrayDataset(images, np.arange(160) % 2), [np.arange(96), np.arange(64, 160)]
    return benchmark_from_parts(data, parts, data, parts, ["even", "odd"]).train_stream


def build(name, seed=0):
    return shrunk(load_recipe(name), **SIZES).build(seed=seed)


def state(strategy):
    return {name: entry.clone() for name, entry in strategy.model.state_dict().items()}


def part(entries, prefixes):
    return {name: entry for name, entry in entries.items() if name.startswith(prefixes)}


def differing(first, second):
    return {name for name in first if not torch.equal(first[name], second[name])}


def test_the_memory_of_every_recipe_is_listed():
    assert list(MEMORY) == sorted(MEMORY) == recipe_names()


@pytest.mark.parametrize("name", MEMORY)
def test_the_listed_memory_is_complete(name):
    """Apart from encoder, heads and predictors, which the gradient moves, the memory is the whole state."""
    strategy = build(name)
    trained = {n for n, p in strategy.model.named_parameters() if p.requires_grad}
    rest = {n for n in state(strategy) if n not in trained and not n.endswith(STATISTICS)}
    remembered = part(dict.fromkeys(rest), MEMORY[name]).keys()
    assert rest == remembered
    assert all(part(dict.fromkeys(state(strategy)), (prefix,)) for prefix in MEMORY[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORY)
def test_experience_2_starts_from_what_experience_1_left_and_needs_it(name, stream):
    strategy = build(name)
    untrained = part(state(strategy), MEMORY[name])
    strategy.train(stream[0], eval_streams=[])
    left = part(state(strategy), MEMORY[name])
    assert differing(left, untrained)
    forgetful = copy.deepcopy(strategy)
    forgetful.model.load_state_dict(untrained, strict=False)

    class Look(av.SupervisedPlugin):
        def before_training_exp(self, strategy, **kwargs):
            self.found = part(state(strategy), MEMORY[name])

    look = Look()
    strategy.plugins.append(look)
    for one in (strategy, forgetful):
        one.train(stream[1], eval_streams=[])
    assert look.found.keys() == left.keys() and not differing(look.found, left)
    encoders = (part(state(one), ("encoder.",)) for one in (strategy, forgetful))
    assert differing(*encoders)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORY)
def test_reloaded_from_a_file_in_mid_training_it_continues_bit_for_bit(name, stream):
    strategy, other = build(name), build(name, seed=1)
    strategy.train(stream[0], eval_streams=[])
    images = textured(64, seed=5)
    strategy.model.prepare(images.split(32))
    step(strategy, images[:32])
    file = io.BytesIO()
    torch.save(
        {
            "model": strategy.model.state_dict(),
            "optimizer": strategy.optimizer.state_dict(),
            "views": strategy.view_generator.get_state(),
        },
        file,
    )
    file.seek(0)
    kept = torch.load(file, weights_only=True)
    other.model.load_state_dict(kept["model"])
    other.optimizer.load_state_dict(kept["optimizer"])
    other.view_generator.set_state(kept["views"])
    for one in (strategy, other):
        for _ in range(2):
            step(one, images[32:])
    assert not differing(state(strategy), state(other))
    assert torch.equal(strategy.view_generator.get_state(), other.view_generator.get_state())


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORY)
def test_losses_and_memory_stay_in_fp32_where_embeddings_are_bf16(name, stream):
    seen = []

    class Look(av.SupervisedPlugin):
        def before_backward(self, strategy, **kwargs):
            seen.extend([strategy.loss, *strategy.mb_output.values()])

    recipe = shrunk(load_recipe(name), **SIZES | {"epochs": 1, "batch_size": 48})
    strategy = recipe.build(precision="bf16", plugins=[Look()])
    strategy.train(stream[0], eval_streams=[])
    kept = [*seen, *strategy.model.state_dict().values()]
    assert seen and {t.dtype for t in kept if t.is_floating_point()} == {torch.float32}
    assert all(t.isfinite().all() for t in kept)


def step(strategy, images):
    """Make one step as the strategy does."""
    model = strategy.model.train()
    outputs = model(images)
    labels = {"labels": torch.arange(len(images)) % 2} if model.num_classes_read else {}
    strategy.optimizer.zero_grad()
    model.loss(outputs | labels).backward()
    strategy.optimizer.step()
    model.update({name: t.detach() for name, t in outputs.items()})
