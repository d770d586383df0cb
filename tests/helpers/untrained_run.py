"""The folder of a run that was never trained, and folders of small pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avalanche_ssl.checkpointing import write_encoder
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.build import build_recipe
from avalanche_ssl.runs.folder import write_config

SETTINGS = {"encoder": "smallconv(width=4)", "augment.size": 16}


def untrained_run(folder: Path, strategy: str = "simclr", seed: int = 0, **settings: Any) -> Path:
    folder.mkdir(parents=True)
    config = RunConfig(strategy=strategy, settings=SETTINGS | settings)
    write_config(folder, config)
    write_encoder(folder / "encoder.pt", build_recipe(config).build_method(seed).encoder.state_dict())
    return folder


def pictures(folder: Path, counts: dict[str, int]) -> Path:
    """Pictures of noise, so many in each subfolder."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / name / f"{number:03d}.png")
    return folder
