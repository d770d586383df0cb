"""The experiment written by hand: a row of accuracies per experience, and the encoder of ours."""

import argparse
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightly", reason="an optional dependency")

import peer_experiment
from speed import hand_made

from avalanche_ssl.models import smallconv


def test_the_encoder_is_ours() -> None:
    theirs, features = hand_made.smallconv(4)
    ours = smallconv(width=4)
    assert features == ours.out_features
    for own, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        other.copy_(own)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_rows_of_the_untrained_encoder_and_of_each_experience(tmp_path: Path, precision: str) -> None:
    peer_experiment.draw_pictures(tmp_path, {"train": 80, "test": 40}, composites=2)
    options = argparse.Namespace(
        data=tmp_path, experiences=2, epochs=1, batch_size=16, lr=0.003, weight_decay=5e-4, width=2, seed=0
    )
    options.precision, options.num_workers = precision, 0
    rows = hand_made.experiment(options)
    assert len(rows) == 3 and rows[0]["seen"] is None and rows[-1]["seen"] == rows[-1]["all"]
    assert all(0 <= row[scope] <= 1 for row in rows for scope in ("all", "task"))
