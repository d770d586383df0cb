"""The same small trainings in one process and in several, in float64, and what has become of them."""

from __future__ import annotations

import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import crashes.process  # noqa: F401  sets what the server of processes imports
import numpy as np
import torch
from avalanche.training.plugins import EWCPlugin, ReplayPlugin
from torch import Tensor
from torch.multiprocessing import start_processes

from avalanche_ssl import distributed
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.models import Encoder
from avalanche_ssl.plugins import CLA, LUMP, PLUGINS, Anchor, CaSSLe, Replay, build_plugins, plugin_settings
from avalanche_ssl.recipes import load_recipe
from avalanche_ssl.recipes.installed import recipe_names
from avalanche_ssl.rng import seed_all
from avalanche_ssl.streams import online_stream
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from helpers.recipes import shrunk
from helpers.strategies import Spy

IMAGES, BATCH = 26, 13
"""Images of an experience, and of a batch."""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "swav, unfrozen, queue": ("swav", {"freeze": 0, "queue_size": 24}),
    "pirl, bank": ("pirl", {"negatives": "bank"}),
    "cmc, nce": ("cmc_bank", {"objective": "nce"}),
    "deepcluster, online": ("deepcluster", {"clustering": "online"}),
    "simclr, adam": ("simclr", {"optimizer": "adam"}),
    "simclr, lars": ("simclr", {"optimizer": "lars"}),
    "simclr, clipped": ("simclr", {"max_grad_norm": 0.1}),
    "moco, split batch norm": ("moco", {"encoder.norm": "split"}),
}
"""Settings that make another method of a recipe."""

AVALANCHE: dict[str, Callable[[], Any]] = {
    "ewc": lambda: EWCPlugin(10.0),
    "replay of avalanche": lambda: ReplayPlugin(mem_size=18, batch_size_mem=5),
}

PLUGIN_SETTINGS = {"size": 18, "hidden_dim": 16, "output_dim": 8}

OWN_REPLAY = {"der": {"refresh": False}}


def stream(n: int = IMAGES, experiences: int = 2) -> Any:
    """Random images in two experiences of two classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(n * experiences) % (2 * experiences)
    # blobs rather than noise: crops of an image are alike
    coarse = torch.from_numpy(rng.integers(0, 256, (len(labels), 3, 4, 4)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").byte().permute(0, 2, 3, 1).numpy()
    data = ArrayDataset(images, labels.tolist()), [np.flatnonzero(labels // 2 == j) for j in range(experiences)]
    return benchmark_from_parts(*data, *data, [str(i) for i in range(2 * experiences)])


def strategy_of(recipe: str, settings: dict[str, Any] | None = None, plugins: Any = (), **options: Any) -> Any:
    """A small strategy in float64, whose optimizer is SGD unless the settings say otherwise."""
    small = {"output_dim": 8, "hidden_dim": 16, "clusters": 4, "prototypes": 6, "capacity": 64, "count": 16}
    base = {"batch_size": BATCH, "epochs": 1, "optimizer": "sgd", "lr": 0.05, "weight_decay": 1e-3}
    made = shrunk(load_recipe(recipe).override(base), queue_size=24, **small)
    seed_all(0)
    strategy = made.override({"encoder": "smallconv", "encoder.width": 4} | (settings or {})).build(
        plugins=plugins, evaluator=None, **options
    )
    return in_float64(strategy)


def in_float64(strategy: Any) -> Any:
    """The strategy, with weights, embeddings and losses of 64 bits; views keep their 32."""
    for part in (strategy.model, *(p for p in strategy.plugins if isinstance(p, torch.nn.Module))):
        part.double()
        for module in part.modules():
            if isinstance(module, Encoder):
                module.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    return strategy


def continual(name: str, method: str) -> Any:
    """A strategy with one of the package's plugins, behind a replay if it needs one."""
    own = {name: {key: value for key, value in PLUGIN_SETTINGS.items() if key in plugin_settings(name)}}
    if build_plugins(own)[0].needs_replay:
        own = {"replay": {"size": 18, **OWN_REPLAY.get(name, {})}} | own
    return strategy_of(method, {}, build_plugins(own))


OURS: dict[str, Callable[[], list[Any]]] = {
    "replay only": lambda: [Replay(size=30, batch=9, policy="fifo", only=True)],
    "replay of one image": lambda: [Replay(size=18, batch=1)],
    "minred": lambda: [Replay(size=18, policy="minred")],
    "lump on a replay": lambda: [Replay(size=18), LUMP()],
    "cla-e, balanced": lambda: [Replay(size=18), CLA("ema", balance=0.5, hidden_dim=16)],
    "cassle, every 2 steps": lambda: [CaSSLe(every=2, hidden_dim=16)],
    "anchor, si": lambda: [Anchor("si")],
    "anchor, fisher of steps": lambda: [Anchor("fisher", every=2)],
    "anchor, mas": lambda: [Anchor("mas")],
    "anchor, mas of steps": lambda: [Anchor("mas", every=2)],
}
"""Plugins with other settings than by default, on SimCLR."""


def cases() -> dict[str, Callable[[], Any]]:
    """Strategies by name."""
    return {
        **{name: partial(strategy_of, name) for name in recipe_names()},
        **{name: partial(strategy_of, recipe, settings) for name, (recipe, settings) in VARIANTS.items()},
        **{name: partial(_with_avalanche, name) for name in AVALANCHE},
        **{name: partial(_with_ours, name) for name in OURS},
        **{
            f"{name} on {m}": partial(continual, name, m) for name in PLUGINS for m in METHODS_OF.get(name, ("simclr",))
        },
    }


METHODS_OF = {"osiris": ("simclr",), "lump": ("simclr", "pirl"), "cassle": ("byol", "deepcluster"), "pfr": ("cmc",)}


def _with_avalanche(name: str) -> Any:
    return strategy_of("simclr", {}, [AVALANCHE[name]()])


def _with_ours(name: str) -> Any:
    torch.manual_seed(0)
    return strategy_of("simclr", {}, OURS[name]())


def trace(make: Callable[[], Any], online: bool = False, **options: Any) -> dict[str, Any]:
    """Train on two experiences: losses, state, random states."""
    strategy, losses = make(), []
    strategy.plugins.append(Spy(before_update=lambda s: losses.append(float(s.loss.detach()))))
    for experience in stream().train_stream:
        parts = online_stream(experience, BATCH, seed=0) if online else experience
        strategy.train(parts, eval_streams=[], **options)
    found: dict[str, Any] = {f"model.{k}": v for k, v in strategy.model.state_dict().items()}
    for i, plugin in enumerate(p for p in strategy.plugins if isinstance(p, torch.nn.Module)):
        found |= {f"plugin{i}.{k}": v for k, v in plugin.state_dict().items()}
    found["views"], found["order"] = strategy.view_generator.get_state(), strategy.order_generator.get_state()
    found["global"], found["losses"] = torch.get_rng_state(), torch.tensor(losses, dtype=torch.float64)
    found["teacher views"] = torch.tensor(strategy.teacher_views)
    return {k: v.clone() for k, v in found.items() if isinstance(v, Tensor)}


def differences(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-11) -> list[str]:
    """What differs, integers at all and numbers by more than a part of the largest."""
    if one.keys() != other.keys():
        return [f"names {sorted(one.keys() ^ other.keys())}"]
    found = []
    for name, a in one.items():
        b = other[name]
        if a.shape != b.shape:
            found.append(f"{name}: {tuple(a.shape)} {tuple(b.shape)}")
        elif not a.is_floating_point():
            found += [name] * (not torch.equal(a, b))
        elif a.numel():
            gap = float((a - b).double().abs().nan_to_num(0).max()) / max(
                1.0, float(b.double().abs().nan_to_num(0).max())
            )
            same_nan = torch.equal(a.isnan(), b.isnan())
            found += [f"{name}: {gap:.1e}"] * (gap > tolerance or not same_nan)
    return found


def spawned(function: Callable[..., Any], count: int, folder: Path, *arguments: Any) -> list[Any]:
    """What `function(*arguments)` of a module of helpers returns in each of several processes that have joined.

    They are forks of the server of `crashes.process`, which has imported the package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start_processes(_joined, (count, str(folder), function, arguments), count, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]


def _joined(rank: int, count: int, folder: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    multiprocessing.set_start_method(None, force=True)  # loader processes start as usual, not as this one did
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.join(torch.distributed.FileStore(f"{folder}/store", count), rank, count)
    found = function(*arguments)
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.leave()


def traces(names: list[str]) -> dict[str, Any]:
    """The traces of cases, or what went wrong."""
    made, found = cases(), {}
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of few rows
                found[name] = trace(made[name])
        except Exception:
            found[name] = traceback.format_exc()
    return found
