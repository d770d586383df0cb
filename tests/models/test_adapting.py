"""Networks of other libraries as encoders: classifier, input and norm."""

import pytest
import torch
import torchvision
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import SplitBatchNorm, adapting
from avalanche_ssl.models.adapting import remove_classifier, replace_batch_norm, say_full_width, set_input_channels


@pytest.mark.parametrize(
    ("name", "path", "features"),
    [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024), ("squeezenet1_1", "classifier.1", 512)],
)
def test_the_last_layer_is_the_classifier(name: str, path: str, features: int) -> None:
    network = torchvision.models.get_model(name, weights=None).eval()
    assert remove_classifier(network) == features
    assert isinstance(network.get_submodule(path), nn.Identity)
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, features)


def test_a_network_without_layers_has_no_classifier() -> None:
    with pytest.raises(UsageError, match="Flatten has no classifier to remove: give wrap"):
        remove_classifier(nn.Flatten())
    with pytest.raises(UsageError, match="Linear has no convolution that could take 2 channels"):
        set_input_channels(nn.Linear(2, 2), 2)


@pytest.mark.parametrize("channels", [1, 2, 13])
def test_the_first_convolution_takes_other_channels_with_responses_of_the_same_size(channels: int) -> None:
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    before = network.conv1
    set_input_channels(network, channels)
    after = network.conv1
    assert after.weight.shape == (64, channels, 7, 7) and after.bias is None
    assert (after.stride, after.padding) == (before.stride, before.padding)
    sizes = [conv(torch.randn(8, conv.in_channels, 32, 32)).std() for conv in (before, after)]
    assert torch.isclose(*sizes, rtol=0.1)


def test_a_convolution_that_fits_stays() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    before = network[0]
    set_input_channels(network, 3)
    assert network[0] is before
    set_input_channels(network, 1)
    assert network[0].in_channels == 1 and torch.equal(network[0].bias, before.bias)


def test_batch_norm_is_replaced_and_keeps_its_activation() -> None:
    class WithActivation(nn.BatchNorm2d):  # as timm's BatchNormAct2d
        def __init__(self) -> None:
            super().__init__(8)
            self.act = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(super().forward(x))

    network = nn.Sequential(nn.BatchNorm2d(8), nn.Sequential(WithActivation()), nn.LayerNorm(4))
    replace_batch_norm(network, "batch")
    assert isinstance(network[0], nn.BatchNorm2d)
    replace_batch_norm(network, "layer")
    assert isinstance(network[0], nn.GroupNorm) and isinstance(network[2], nn.LayerNorm)
    x = torch.randn(2, 8, 4, 4)
    assert torch.allclose(network[1](x), nn.functional.group_norm(x, 1).relu(), atol=1e-6)
    split = nn.Sequential(nn.BatchNorm2d(8))
    replace_batch_norm(split, "split")
    assert isinstance(split[0], SplitBatchNorm)
    with pytest.raises(UsageError, match="no norm 'batsch': did you mean 'batch'"):
        replace_batch_norm(split, "batsch")


def test_a_share_of_the_width_that_a_network_cannot_have_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapting, "_said", set())
    with pytest.warns(UserWarning, match="net has one width: where the method asks for 0.5 of it, as CMC does"):
        say_full_width("net", 0.5)
    say_full_width("net", 0.5)
    say_full_width("net", 1.0)
