"""A continual experiment as one writes it by hand: lightly, torchvision's ImageFolder, DataLoaders and scikit-learn.

SimCLR over class-incremental experiences of a folder of images, with a ridge classifier on frozen features before the
first and after each experience. It imports nothing of this package: `peer_experiment.py` runs it as a program of its
own and reads the accuracies, which it prints as one line of JSON.

python benchmarks/speed/hand_made.py FOLDER --experiences 5 --epochs 2
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from speed.lightly_methods import MODELS

ALPHAS = np.logspace(-1, 5, 13)
SIDE = 32
NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

Features = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""Features (N, D) and class labels (N,)."""


def main(arguments: list[str] | None = None) -> int:
    """Train, and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("data", type=Path, help="folder with train/CLASS/* and test/CLASS/*")
    add("--experiences", type=int, default=5)
    add("--epochs", type=int, default=2)
    add("--batch-size", type=int, default=64)
    add("--lr", type=float, default=0.003)
    add("--weight-decay", type=float, default=5e-4)
    add("--width", type=int, default=32, help="channels of the first convolution")
    add("--precision", choices=("fp32", "bf16"), default="fp32")
    add("--num-workers", type=int, default=2)
    add("--seed", type=int, default=0)
    print(json.dumps(experiment(parser.parse_args(arguments))))
    return 0


def experiment(options: argparse.Namespace) -> list[dict[str, float | None]]:
    """Accuracies of the untrained encoder and after each experience."""
    torch.manual_seed(options.seed)
    model_of, transform_of = MODELS["simclr"]
    views = ImageFolder(options.data / "train", transform_of(SIDE))
    still = transforms.Compose([transforms.ToTensor(), NORMALIZE])
    plain = [ImageFolder(options.data / part, still) for part in ("train", "test")]
    classes = np.random.default_rng(options.seed).permutation(len(views.classes))
    groups = np.array_split(classes, options.experiences)
    encoder, width = smallconv(options.width)
    model = model_of(encoder, width)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    rows = [evaluate(encoder, plain, groups, 0, options)]
    for number, group in enumerate(groups, start=1):
        experience = Subset(views, np.flatnonzero(np.isin(views.targets, group)).tolist())
        train(model, optimizer, experience, options)
        rows.append(evaluate(encoder, plain, groups, number, options))
    return rows


def smallconv(width: int) -> tuple[nn.Module, int]:
    """Four convolutions and global average pooling, and the number of features."""
    layers: list[nn.Module] = []
    channels = 3
    for stage in range(4):
        out = width * 2**stage
        convolution = nn.Conv2d(channels, out, 3, 1 if stage == 0 else 2, 1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), channels


def train(model: nn.Module, optimizer: torch.optim.Optimizer, data: Any, options: argparse.Namespace) -> None:
    """All passes over one experience, with a cosine schedule of the learning rate."""
    loader: DataLoader[Any] = DataLoader(
        data,
        options.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=options.num_workers,
        persistent_workers=options.num_workers > 0,
    )
    for group in optimizer.param_groups:
        group["lr"] = options.lr
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader) * options.epochs)
    model.train()
    for _ in range(options.epochs):
        for batch, _ in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
                loss = model(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def evaluate(
    encoder: nn.Module, data: list[Any], groups: list[Any], trained: int, options: argparse.Namespace
) -> dict[str, float | None]:
    """Mean accuracy over experiences: of all classes, of the classes seen so far, and within each experience."""
    train, test = (features(encoder, part, options) for part in data)
    seen: Any = np.concatenate(groups[:trained]) if trained else []
    return {
        "all": accuracy(train, test),
        "seen": accuracy(of(train, seen), of(test, seen)) if trained else None,
        "task": float(np.mean([accuracy(of(train, group), of(test, group)) for group in groups])),
    }


@torch.no_grad()
def features(encoder: nn.Module, data: Any, options: argparse.Namespace) -> Features:
    """Features of all images."""
    encoder.eval()
    found: list[Tensor] = []
    for x, _ in DataLoader(data, 512, num_workers=options.num_workers):
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            found.append(encoder(x).float())
    return torch.cat(found).numpy(), np.asarray(data.targets)


def of(samples: Features, classes: Any) -> Features:
    """The samples of some classes."""
    x, y = samples
    rows = np.isin(y, classes)
    return x[rows], y[rows]


def accuracy(train: Features, test: Features) -> float:
    """Share of test images that a ridge classifier recognizes."""
    classifier = make_pipeline(StandardScaler(), RidgeClassifierCV(ALPHAS))
    return float(classifier.fit(*train).score(*test))


if __name__ == "__main__":
    sys.exit(main())
