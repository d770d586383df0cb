"""Plugins of Avalanche that load an experience by themselves get the images that the method trains on."""

import copy
import pickle

import numpy as np
import pytest
import qpsolvers
import torch
from avalanche.benchmarks import benchmark_from_datasets, nc_benchmark
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training import plugins as av
from helpers.encoders import tiny
from helpers.strategies import Spy, make
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import SimCLR, VICReg
from avalanche_ssl.training.raw_experience import RawItems

RAW = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = [i % 4 for i in range(64)]
NORMALIZE = transforms.Normalize((0.5,) * 3, (0.25,) * 3)


class Images(torch.utils.data.Dataset):
    """Images as datasets give them: PIL images or tensors, through a transform of their own."""

    def __init__(self, kind, transform=None):
        self.kind, self.transform, self.targets = kind, transform, LABELS

    def __len__(self):
        return len(RAW)

    def __getitem__(self, index):
        image = to_pil_image(RAW[index]) if self.kind == "pil" else RAW[index]
        return self.transform(image) if self.transform else image, LABELS[index]


def stream(kind, transform=None):
    """Two experiences of the same 32 images each, whatever the kind and the transforms."""
    data = ArrayDataset(RAW.permute(0, 2, 3, 1).numpy(), LABELS) if kind == "array" else Images(kind)
    return nc_benchmark(data, data, 2, task_labels=False, seed=0, shuffle=False, train_transform=transform).train_stream


STREAMS = {
    "tensor": ("tensor",),
    "array": ("array",),
    "pil": ("pil",),
    "pil with ToTensor": ("pil", transforms.ToTensor()),
    "pil with ToTensor and Normalize": ("pil", transforms.Compose([transforms.ToTensor(), NORMALIZE])),
}


@pytest.fixture(autouse=True)
def solver(monkeypatch):
    """What GEM asks for before its first projection."""
    solvers = qpsolvers.available_solvers
    monkeypatch.setattr(qpsolvers, "available_solvers", [*solvers, "quadprog"])


def train(plugin, experiences, **settings):
    torch.manual_seed(0)
    model = SimCLR(tiny, output_dim=8)
    strategy = make(model, plugins=[plugin], train_mb_size=16, **settings)
    for experience in experiences:
        strategy.train(experience, eval_streams=[])
    return strategy


def importances(name):
    plugin = av.EWCPlugin(ewc_lambda=1.0)
    train(plugin, stream(*STREAMS[name]))
    return torch.cat([p.data.flatten() for per in plugin.importances.values() for p in per.values()])


def test_importances_of_ewc_are_the_same_whatever_holds_the_images() -> None:
    expected = importances("tensor")
    assert expected.max() > 0
    for name in STREAMS:
        assert torch.equal(importances(name), expected), name


def pixels(images):
    assert images.dtype == torch.uint8
    return {tuple(image.flatten().tolist()) for image in images}


@pytest.mark.filterwarnings("ignore::UserWarning:avalanche")
def test_importances_of_ewc_have_no_batch_that_is_too_small_for_the_loss() -> None:
    def importances(images: int) -> list[torch.Tensor]:
        plugin = av.EWCPlugin(1.0)
        torch.manual_seed(0)
        strategy = make(VICReg(tiny, output_dim=8), plugins=[plugin], train_mb_size=16)
        strategy.train(
            benchmark_from_datasets(
                train=[as_classification_dataset(Images("tensor")).subset(range(images))]
            ).train_stream,
            shuffle=False,
        )
        return [importance.data for importance in plugin.importances[0].values()]

    even, odd = importances(32), importances(33)
    assert sum(float(importance.sum()) for importance in even) > 0
    for one, other in zip(even, odd, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("plugin", [av.EWCPlugin(0.1), av.ReplayPlugin(8)])
def test_an_experience_of_no_image_is_refused_for_plugins_that_load_it(plugin: av.SupervisedPlugin) -> None:
    data = as_classification_dataset(Images("tensor"))
    benchmark = benchmark_from_datasets(train=[data.subset(range(32)), data.subset([]), data.subset(range(32, 64))])
    strategy = make(SimCLR(tiny, output_dim=8), plugins=[plugin], train_mb_size=16)
    with pytest.raises(UsageError, match=f"experience 2 has no image, and Avalanche's {type(plugin).__name__} takes"):
        strategy.train(benchmark.train_stream)


@pytest.mark.parametrize("name", STREAMS)
def test_memories_of_agem_and_gem_are_raw_images(name: str) -> None:
    first = pixels(RAW[[i for i, y in enumerate(LABELS) if y < 2]])

    agem = av.AGEMPlugin(patterns_per_experience=20, sample_size=8)
    train(agem, stream(*STREAMS[name])[:1])
    x, y, t = next(agem.buffer_dliter)
    assert len(x) == len(y) == len(t) == 8 and pixels(x) <= first and set(y.tolist()) <= {0, 1}
    assert len(agem.buffers[0]) == 20
    train(agem, stream(*STREAMS[name])[1:])  # projects on the memory

    gem = av.GEMPlugin(patterns_per_experience=20, memory_strength=0.5)
    train(gem, stream(*STREAMS[name])[:1])
    assert len(gem.memory_x[0]) == 20 and pixels(gem.memory_x[0]) <= first


@pytest.mark.slow
def test_gem_projects_on_raw_images() -> None:
    pytest.importorskip("quadprog")
    gem = av.GEMPlugin(patterns_per_experience=20, memory_strength=0.5)
    train(gem, stream(*STREAMS["pil with ToTensor"]))
    assert [len(x) for x in gem.memory_x.values()] == [20, 20]


def test_transforms_that_are_kept_reach_the_plugins_too() -> None:
    gem = av.GEMPlugin(patterns_per_experience=20, memory_strength=0.5)
    train(gem, stream("pil", transforms.ToTensor())[:1], use_dataset_transforms=True)
    assert gem.memory_x[0].dtype == torch.float32 and 0 <= gem.memory_x[0].min() <= gem.memory_x[0].max() <= 1


def test_other_plugins_see_the_experience_itself() -> None:
    seen = []
    ewc = av.EWCPlugin(ewc_lambda=1.0)
    spy = Spy(after_training_exp=lambda s: seen.append(s.experience))
    experience = stream("tensor")[0]
    strategy = make(SimCLR(tiny, output_dim=8), plugins=[ewc, spy], train_mb_size=16)
    strategy.train(experience, eval_streams=[])
    assert not isinstance(seen[0].dataset, RawItems) and strategy.experience is None


def test_items_are_those_of_the_subset_and_survive_a_copy() -> None:
    items = RawItems(stream("pil", transforms.ToTensor())[0].dataset)
    part = items.subset([3, 5])
    assert len(part) == 2 and part.targets[0] == items.targets[3]
    for twin in (part, copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        x, y, t = twin[1]
        assert torch.equal(x, items[5][0]) and x.dtype == torch.uint8
        assert (y, t) == (items.targets[5], 0)
    assert np.array_equal(items[0][0], RAW[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_task_balanced_replay_gives_raw_images_and_only_new_ones_are_remembered() -> None:
    batches = []
    data = Images("pil")
    transform = transforms.Compose([transforms.ToTensor(), NORMALIZE])
    tasks = nc_benchmark(data, data, 4, task_labels=True, seed=0, train_transform=transform).train_stream
    replay = av.ReplayPlugin(mem_size=8, batch_size=8, batch_size_mem=4, task_balanced_dataloader=True)
    strategy = make(plugins=[replay, Spy(before_forward=lambda s: batches.append(s.mbatch))], train_mb_size=8)
    for experience in tasks[:3]:
        strategy.train(experience, eval_streams=[])
    assert all(pixels(x) <= pixels(RAW) for x, *_ in batches)
    assert [sorted(set(t.tolist())) for *_, t in batches] == [[0]] * 2 + [[0, 1]] * 2 + [[0, 1, 2]] * 2
    assert strategy.model.queue.n_enqueued == 3 * 16
