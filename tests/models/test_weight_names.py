"""Each official layout is written here in its naming, and read back as the same features."""

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.models import Encoder, counterpart, load_weights, resnet9, resnet18, resnet50, smallconv, wrap
from avalanche_ssl.models.weight_names import NAME_MAPS, match_names, some

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def official() -> nn.Module:
    """A ResNet-18 of torchvision, as official checkpoints hold it, with statistics other than the initial ones."""
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    network(IMAGES)
    return network.eval()


def features(network: nn.Module) -> Tensor:
    with torch.no_grad():
        network.eval()
        if isinstance(network, torchvision.models.ResNet):
            children = list(network.children())[:-1]
            return nn.Sequential(*children)(IMAGES).flatten(1)
        return network(IMAGES)


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def junk(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same network with other weights, as a momentum encoder or teacher has."""
    return {name: value + 1 for name, value in state.items()}


def layouts(state: dict[str, Tensor]) -> dict[str, Any]:
    """A checkpoint of each official layout, by name."""
    bare = {name: value for name, value in state.items() if not name.startswith("fc.")}
    in_sequence = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    numbered = {in_sequence[n.partition(".")[0]] + "." + n.partition(".")[2]: v for n, v in bare.items()}
    head = {"projection_head.0.weight": torch.rand(8, 512), "prototypes.weight": torch.rand(30, 8)}
    moco = prefixed("module.encoder_q.", state) | prefixed("module.encoder_k.", junk(state))
    moco |= {"module.queue": torch.rand(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    momentum = prefixed("module.momentum_encoder.", junk(state))
    return {
        "torchvision": state,
        "moco v1 and v2": {"epoch": 200, "arch": "resnet18", "state_dict": moco, "optimizer": {"state": {}}},
        "moco v3": {"epoch": 3, "state_dict": prefixed("module.base_encoder.", bare) | momentum},
        "swav": prefixed("module.", bare | head),
        "swav, in training": {"epoch": 1, "state_dict": prefixed("module.", bare | head), "optimizer": {}},
        "simsiam": {"state_dict": prefixed("module.encoder.", bare) | {"module.predictor.0.weight": torch.rand(2, 2)}},
        "byol-pytorch": prefixed("online_encoder.net.", state) | prefixed("target_encoder.net.", junk(state)),
        "byol of lightly": {"state_dict": prefixed("backbone.", numbered) | prefixed("backbone_momentum.", junk(bare))},
        "dino, in training": {
            "student": prefixed("module.backbone.", junk(bare)) | {"module.head.last_layer.weight": torch.rand(2, 2)},
            "teacher": prefixed("backbone.", bare) | {"head.last_layer.weight": torch.rand(2, 2)},
            "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}},
            "epoch": 100,
        },
        "dino, student alone": {"student": prefixed("module.backbone.", bare)},
        "barlow twins": {"model": prefixed("module.backbone.", bare) | {"module.projector.0.weight": torch.rand(2, 2)}},
        "supcontrast": {"model": prefixed("encoder.module.", bare), "opt": None},
        "vissl": {"classy_state_dict": {"base_model": {"model": {"trunk": prefixed("_feature_blocks.", bare)}}}},
        "compiled": prefixed("_orig_mod.", bare),
    }


@pytest.mark.parametrize("layout", list(layouts(torchvision.models.resnet18().state_dict())))
@pytest.mark.parametrize("wrapped", [False, True])
def test_each_official_layout_gives_the_same_features(layout: str, wrapped: bool, official: nn.Module) -> None:
    content = layouts(official.state_dict())[layout]
    own: Encoder = resnet18(stem="imagenet")
    if wrapped:
        if layout == "byol of lightly":
            pytest.skip("layers by number are those of a ResNet of this package only")
        own = wrap(torchvision.models.resnet18(), 512, head="fc")
    match = match_names(own.state_dict(), content)
    assert match.taken == match.total == 100 and not match.left_out
    own.load_state_dict(own.state_dict() | match.tensors)
    torch.testing.assert_close(features(own), features(official), rtol=1e-5, atol=1e-5)


def test_ours_as_it_is_and_in_a_wrapped_network(official: nn.Module) -> None:
    ours = resnet18(stem="imagenet")
    for other in (resnet18(stem="imagenet"), wrap(torchvision.models.resnet18(), 512, head="fc")):
        match = match_names(other.state_dict(), {"strategy": {"model": prefixed("encoder.", ours.state_dict())}})
        assert match.taken == match.total == 100 and match.place == "'strategy.model' 'encoder.'"
        other.load_state_dict(other.state_dict() | match.tensors)
        torch.testing.assert_close(features(other), features(ours), rtol=1e-5, atol=1e-5)


def test_the_official_cmc_has_an_encoder_per_view() -> None:
    state = torchvision.models.resnet18().state_dict()
    views = nn.ModuleDict({"l": resnet18(1, stem="imagenet"), "ab": resnet18(2, stem="imagenet")})
    named = {}
    for own, name in (("l", "l_to_ab"), ("ab", "ab_to_l")):
        part = state | {"conv1.weight": torch.rand(64, 1 if own == "l" else 2, 7, 7)}
        named |= prefixed(f"encoder.module.{name}.", part)
    match = match_names(views.state_dict(), {"model": named, "contrast": {"memory_l": torch.rand(5, 5)}})
    assert match.taken == match.total == 200 and match.layout == "CMC"
    assert torch.equal(match.tensors["ab.stages.0.0.weight"], named["encoder.module.ab_to_l.conv1.weight"])
    assert torch.equal(match.tensors["l.stages.0.0.weight"], named["encoder.module.l_to_ab.conv1.weight"])


def test_a_transformer_in_the_naming_of_dino() -> None:
    def vit() -> nn.Module:
        network = torchvision.models.VisionTransformer(32, 16, 1, 2, 16, 16)
        network.heads = nn.Identity()
        return network

    given = vit().eval()
    content = {"student": prefixed("module.backbone.", junk(given.state_dict())),
               "teacher": prefixed("backbone.", given.state_dict())}  # fmt: skip
    own = wrap(vit(), 16)
    load_weights_of(own, content)
    assert torch.equal(own.eval()(IMAGES[..., :32, :32]), given(IMAGES[..., :32, :32]))


def load_weights_of(network: nn.Module, content: Any) -> None:
    match = match_names(network.state_dict(), content)
    network.load_state_dict(match.tensors)


def test_what_matched_and_what_did_not_is_said(official: nn.Module) -> None:
    own = resnet18()  # 3x3 where the file has 7x7
    match = match_names(own.state_dict(), layouts(official.state_dict())["moco v1 and v2"])
    assert match.left_out == {"stages.0.0.weight": "has 64x3x3x3, in the file 64x3x7x7"} and match.taken == 99
    assert str(match).startswith("99 of 100 tensors of the encoder from 'state_dict' 'encoder_q.' (names of: ResNet of")
    assert "left as they were: stages.0.0.weight (has 64x3x3x3, in the file 64x3x7x7)" in str(match)
    assert "module.queue" in match.unused and "module.encoder_k.conv1.weight" in match.unused
    assert not any(name.startswith("module.encoder_q.layer") for name in match.unused)


def test_counters_of_batch_norm_are_neither_needed_nor_counted(official: nn.Module) -> None:
    old = {n: v for n, v in official.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert match_names(resnet18(stem="imagenet").state_dict(), old).taken == 100


def test_nothing_that_is_a_weight_of_the_network() -> None:
    match = match_names(smallconv().state_dict(), {"a": {"x": torch.zeros(2)}, "b": [1], "c": torch.zeros(1)})
    assert not match.tensors and match.total == 20 and match.unused == ("c", "x")
    assert set(match.left_out.values()) == {"not in the file"}


def test_whole_numbers_are_no_weights() -> None:
    state = {name: value.long() for name, value in smallconv().state_dict().items()}
    assert match_names(smallconv().state_dict(), state).taken == 0


def test_the_first_names_stand_for_all() -> None:
    assert some("abcd", 2) == "a, b and 2 more" and some("ab") == "a, b"


def test_no_map_changes_our_own_names() -> None:
    assert NAME_MAPS["this package"] == () and next(iter(NAME_MAPS)) == "this package"


@pytest.mark.parametrize(("build", "name"), [(resnet18, "resnet18"), (resnet50, "resnet50")])
@pytest.mark.parametrize("channels", [3, 1])
def test_the_counterpart_in_torchvision_gives_the_same_features(build: Any, name: str, channels: int) -> None:
    encoder = build(channels, stem="imagenet")
    images = IMAGES[:, :channels]
    encoder(images)
    encoder.eval()
    other = counterpart(encoder)
    assert (other.name, other.in_channels, other.small_stem) == (name, channels, False)
    network = torchvision.models.get_model(name)
    network.fc = nn.Identity()
    if channels != 3:
        network.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    assert list(other.tensors) == list(network.state_dict()), "the same in the same order"
    network.load_state_dict(other.tensors, strict=True)
    torch.testing.assert_close(network.eval()(images), encoder(images), rtol=1e-5, atol=1e-5)


def test_a_stem_for_small_images_is_noted() -> None:
    other = counterpart(resnet18(stem_padding=2))
    assert other.small_stem and other.stem_padding == 2


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        (smallconv(), "none of torchvision's and timm's ResNets (resnet18, resnet34, resnet50)"),
        (resnet9(), "none of torchvision's and timm's ResNets"),
        (resnet18(width=8), "begins with 64 channels, this one with 8"),
        (resnet18(norm="group"), "has batch norm, this one GroupNorm"),
        (resnet18(norm="none"), "has batch norm, this one no norm"),
        (nn.ModuleDict({"l": smallconv()}), "none of torchvision's and timm's ResNets"),
    ],
    ids=["smallconv", "resnet9", "narrow", "group", "none", "several"],
)
def test_an_encoder_without_counterpart_is_refused(encoder: nn.Module, words: str) -> None:
    with pytest.raises(UsageError) as error:
        counterpart(encoder)
    assert words in str(error.value) and "give --format" in str(error.value) and "\n" not in str(error.value)


def test_split_batch_norm_is_batch_norm_there() -> None:
    encoder = resnet18(norm="split", stem="imagenet").eval()
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    network.load_state_dict(counterpart(encoder).tensors)
    torch.testing.assert_close(network.eval()(IMAGES), encoder(IMAGES), rtol=1e-5, atol=1e-5)


def test_timm_takes_the_same_tensors() -> None:
    timm = pytest.importorskip("timm")
    encoder = resnet50(stem="imagenet").eval().double()  # rounding of float32 grows to 2e-5 over 50 layers
    network = timm.create_model("resnet50", num_classes=0).eval().double()
    network.load_state_dict(counterpart(encoder).tensors, strict=True)
    images = IMAGES.double()
    torch.testing.assert_close(network(images), encoder(images), rtol=1e-5, atol=1e-5)
    back = resnet50(stem="imagenet").eval().double()
    load_weights_of(back, network.state_dict())
    assert torch.equal(back(images), encoder(images))


def test_dino_of_timm() -> None:
    timm = pytest.importorskip("timm")
    given = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1).eval()
    own = wrap(timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=1), 192)
    load_weights_of(own, {"teacher": prefixed("backbone.", given.state_dict())})
    images = torch.rand(1, 3, 224, 224)
    assert torch.equal(own.eval()(images), given(images))


def test_load_weights_reads_what_is_matched(official: nn.Module, tmp_path: Any) -> None:
    torch.save(layouts(official.state_dict())["swav"], tmp_path / "swav.pth.tar")
    own = resnet18(stem="imagenet")
    assert str(load_weights(own, tmp_path / "swav.pth.tar")).startswith("100 of 100 tensors of the encoder (names of")
    torch.testing.assert_close(features(own), features(official), rtol=1e-5, atol=1e-5)
