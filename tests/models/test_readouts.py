"""What is read of an encoder beside its features: the map by quarters, and all stages."""

import pytest
import torch
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import Encoder, resnet9, smallconv, wrap
from avalanche_ssl.models.readouts import StageMaps

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def by_hand(encoder: Encoder, x: Tensor) -> list[Tensor]:
    """The map of each stage."""
    maps = []
    for stage in encoder.stages:
        x = stage(x)
        maps.append(x)
    return maps


@pytest.mark.parametrize("build", [smallconv, resnet9])
def test_readouts_by_hand(build: type[Encoder]) -> None:
    encoders = [build(width=4).eval(), build(width=2).eval()]
    with torch.no_grad(), StageMaps(encoders) as maps:
        for encoder in encoders:
            encoder(X)
    with torch.no_grad():
        expected = [by_hand(encoder, X) for encoder in encoders]
    stages = torch.cat([each.mean((2, 3)) for maps_of_one in expected for each in maps_of_one], 1)
    torch.testing.assert_close(maps.read_out("stages"), stages)
    sides = [maps_of_one[-1].shape[-1] // 2 for maps_of_one in expected]
    quarters = [
        maps_of_one[-1].unflatten(3, (2, side)).unflatten(2, (2, side)).mean((3, 5)).flatten(1)
        for maps_of_one, side in zip(expected, sides, strict=True)
    ]
    torch.testing.assert_close(maps.read_out("2x2"), torch.cat(quarters, 1))
    assert not any(module._forward_hooks for encoder in encoders for module in encoder.modules())


def test_an_encoder_whose_stages_are_not_known_has_no_readouts() -> None:
    encoder = wrap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), 4)
    with StageMaps([encoder]) as maps:
        encoder(X)
    for name in ("2x2", "stages"):
        with pytest.raises(UsageError, match=f"readout '{name}' needs an encoder whose stages are known"):
            maps.read_out(name)


def test_a_map_of_one_pixel_has_no_quarters() -> None:
    encoder = smallconv(width=2)
    with StageMaps([encoder]) as maps:
        encoder(X[..., :8, :8])
    with pytest.raises(UsageError, match="readout is '2x2', and the last map is 1x1: leave it out"):
        maps.read_out("2x2")
    assert maps.read_out("stages").shape == (2, 2 + 4 + 8 + 16)
