"""ResNets: stems, torchvision as the oracle, options."""

import pytest
import torch
import torchvision
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.models.resnet import resnet18, resnet50


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_imagenet_stem_at_224() -> None:
    encoder = resnet18(stem="imagenet").eval()
    with torch.no_grad():
        assert encoder.stages(torch.randn(1, 3, 224, 224)).shape == (1, 512, 7, 7)


@pytest.mark.parametrize(("padding", "side"), [(1, 4), (2, 5)])
def test_stem_padding_sets_the_last_map(padding: int, side: int) -> None:
    assert resnet18(width=8, stem_padding=padding).stages(torch.randn(2, 3, 32, 32)).shape[2:] == (side, side)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_imagenet_stem_equals_torchvision(name: str) -> None:
    ours = ENCODERS[name](stem="imagenet")  # type: ignore[call-arg]
    theirs = getattr(torchvision.models, name)()
    theirs.fc = nn.Identity()
    assert count(ours) == count(theirs)
    # Both register their layers in the same order, so our state is theirs under other names.
    renamed = zip(theirs.state_dict(), ours.state_dict().values(), strict=True)
    theirs.load_state_dict(dict(renamed))
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)  # in float32 their memory layouts differ in the last digits
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x), theirs.double().eval()(x))


def test_zero_init_makes_a_block_its_shortcut() -> None:
    block = resnet18(width=8, zero_init=True).get_submodule("stages.1.0")
    x = torch.rand(2, 8, 4, 4)
    torch.testing.assert_close(block(x), x)
    with pytest.raises(UsageError, match="zero_init needs a norm"):
        resnet50(norm="none", zero_init=True)


@pytest.mark.parametrize(
    "options", [{"norm": "bacth"}, {"scale": 0.0}, {"stem": "cifra"}, {"width": 0}, {"scale": float("nan")}]
)
def test_wrong_options_are_one_line(options: dict[str, object]) -> None:
    with pytest.raises(UsageError) as error:
        resnet18(**options)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
