"""Which layer of an encoder is the feature."""

import pytest
import torch
import torchvision
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import FEATURE_LAYERS, get_encoder, pool2x2, read_features, resnet9, wrap
from avalanche_ssl.models.features import last_layer

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_without_a_layer_it_is_the_output_bit_for_bit() -> None:
    encoder = resnet9(width=4).eval()
    assert torch.equal(read_features(encoder, X), encoder(X))
    assert torch.equal(read_features(encoder, X, "global_pool"), encoder(X)), "the encoder pools its map"


def test_a_map_is_averaged_to_2x2() -> None:
    encoder = resnet9(width=4, stem_stride=1).eval()
    maps = encoder.stages(X)
    assert maps.shape == (2, 32, 4, 4)
    expected = torch.stack(
        [maps[:, :, r : r + 2, c : c + 2].mean((2, 3)) for r in (0, 2) for c in (0, 2)], dim=2
    ).flatten(1)
    assert torch.allclose(read_features(encoder, X, "pool2x2"), expected, atol=1e-6)
    with pytest.raises(UsageError, match="'pool2x2', and the last map is 1x3: give global_pool, or null"):
        pool2x2(torch.zeros(2, 8, 1, 3))


def test_a_network_that_pools_by_itself_is_watched_and_left_as_it_was() -> None:
    network = torchvision.models.resnet18().eval()
    encoder = wrap(network, 512, head="fc")
    assert torch.allclose(read_features(encoder, X, "global_pool"), encoder(X), atol=1e-6)
    assert read_features(encoder, torch.rand(2, 3, 64, 64), "pool2x2").shape == (2, 2048)
    assert not any(module._forward_hooks for module in network.modules())


def test_a_transformer_of_torchvision_has_a_class_token_and_a_map() -> None:
    network = torchvision.models.VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16).eval()
    encoder = wrap(network, 16, head="heads")
    assert torch.equal(read_features(encoder, X, "cls"), encoder(X))
    layer = last_layer(encoder, X)
    assert layer.map is not None and layer.map.shape == (2, 16, 4, 4)
    tokens = network.encoder(torch.cat([network.class_token.expand(2, -1, -1), network._process_input(X)], dim=1))
    assert torch.allclose(layer.map[:, :, 1, 2], tokens[:, 1 + 4 * 1 + 2], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "output"),
    [
        ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "depth": 1}, "cls"),
        ("swin_tiny_patch4_window7_224", {"img_size": 64}, "global_pool"),
        ("resnet18", {}, "global_pool"),
    ],
)
def test_layers_of_timm(name: str, options: dict[str, int], output: str) -> None:
    """Tokens with a class token, maps with channels last, and maps."""
    pytest.importorskip("timm")
    encoder = get_encoder(f"timm:{name}")(**options).eval()
    x = torch.rand(2, 3, 64, 64) if name.startswith(("swin", "resnet")) else X
    assert torch.allclose(read_features(encoder, x, output), encoder(x), atol=1e-5)
    assert read_features(encoder, x, "pool2x2").shape == (2, 4 * encoder.out_features)


class Tokens(nn.Module):
    """Gives what a Hugging Face transformer gives."""

    def __init__(self, prefix: int, names: tuple[str, ...] = ("last_hidden_state",)) -> None:
        super().__init__()
        self.prefix, self.names = prefix, names

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        patches = nn.functional.avg_pool2d(x, 8).flatten(2).transpose(1, 2)
        tokens = torch.cat([torch.full((len(x), self.prefix, x.shape[1]), 7.0), patches], dim=1)
        outputs = {"last_hidden_state": tokens, "pooler_output": tokens[:, 0] + 1}
        return {name: outputs[name] for name in self.names}


def test_a_dictionary_with_tokens() -> None:
    with_token, without = wrap(Tokens(1), 3), wrap(Tokens(0), 3)
    assert torch.equal(read_features(with_token, X, "cls"), torch.full((2, 3), 7.0))
    maps = nn.functional.avg_pool2d(X, 8)
    for encoder in (with_token, without):
        assert torch.allclose(read_features(encoder, X, "global_pool"), maps.mean((2, 3)))
        assert torch.allclose(read_features(encoder, X, "pool2x2"), nn.functional.avg_pool2d(maps, 2).flatten(1))
    wide = torch.rand(2, 3, 16, 32)
    known = Tokens(1)
    known.num_prefix_tokens = 1  # type: ignore[assignment]
    layer = last_layer(wrap(known, 3), wide)
    assert layer.map is not None and torch.equal(layer.map, nn.functional.avg_pool2d(wide, 8))


def test_what_an_encoder_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="feature_layer is 'cls', and the encoder has no class token"):
        read_features(resnet9(width=4), X, "cls")
    with pytest.raises(UsageError, match="'pool2x2', and the last map of the encoder is not known: give null"):
        read_features(wrap(nn.Sequential(nn.Flatten(), nn.Linear(3072, 8)), 8), X, "pool2x2")
    with pytest.raises(UsageError, match="no feature layer 'cl': did you mean 'cls'"):
        read_features(resnet9(width=4), X, "cl")
    assert FEATURE_LAYERS == ("global_pool", "cls", "pool2x2")
