"""Encoders of recipes by name, with arguments, and from Python files."""

from functools import partial
from pathlib import Path

import pytest
import torch
from helpers.recipes import shrunk
from helpers.streams import array_stream
from torch import nn

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, CPC, SimCLR
from avalanche_ssl.models import ENCODERS, resnet9
from avalanche_ssl.recipes import Recipe, load_recipe
from avalanche_ssl.recipes.encoder_loading import checked_encoder, encoder_sha256, load_encoder
from avalanche_ssl.transforms import RandomView

MINE = """
import torch
from torch import nn
from avalanche_ssl.models import wrap

torch.rand(1)
network = nn.Flatten()

def build(in_channels=3, *, width=8):
    layers = nn.Sequential(nn.Conv2d(in_channels, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU())
    return wrap(layers, width)

def rgb():
    return wrap(nn.Conv2d(3, 4, 3), 4)

def anything(**options):
    return wrap(nn.Conv2d(options["in_channels"], int(8 * options["scale"]), 3), int(8 * options["scale"]))

def broken(in_channels):
    raise KeyError(
        "x")

def number():
    return 5
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return str(path)


def test_a_name_without_arguments_is_the_factory_itself() -> None:
    assert load_encoder("resnet9") is ENCODERS["resnet9"] is resnet9
    assert checked_encoder("resnet9") == "resnet9"


def test_arguments_are_checked_by_their_types() -> None:
    assert checked_encoder("resnet9(width=8, zero_init=True)") == "resnet9(width=8, zero_init=True)"
    with pytest.raises(UsageError, match=r"setting 'encoder.width' is 'wide': give a whole number"):
        checked_encoder("resnet9(width='wide')")
    with pytest.raises(UsageError, match=r"no argument of resnet9 'widht': did you mean 'width'\?"):
        checked_encoder("resnet9(widht=8)")
    with pytest.raises(UsageError, match="no encoder 'resnet90': did you mean 'resnet9'"):
        checked_encoder("resnet90")


def test_parts_of_the_setting_change_it_whatever_their_order() -> None:
    recipe = Recipe(SimCLR).override({"encoder.width": 8, "encoder": "resnet9"})
    assert recipe.encoder == recipe.settings["encoder"] == "resnet9(width=8)"
    assert recipe.override({"encoder.width": 4}).build_method().encoder.out_features == 32
    assert recipe.override({"encoder": "smallconv"}).encoder == "smallconv", "arguments are those of the encoder"
    assert recipe.override(recipe.settings).settings == recipe.settings
    for name in ("encoder.", "encoders.width"):
        with pytest.raises(UsageError, match="no setting"):
            recipe.override({name: "smallconv"})


def test_the_same_arguments_give_the_same_weights_as_the_factory() -> None:
    torch.manual_seed(0)
    expected = SimCLR(partial(resnet9, width=8)).state_dict()
    found = Recipe(SimCLR, encoder="resnet9(width=8)").build_method(0).state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_an_argument_that_the_method_decides_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"'encoder.norm' is 'group', and the method builds its encoder with norm='layer'"
    ):
        Recipe(CPC, encoder="resnet9(norm='group')").build_method()
    with pytest.raises(UsageError, match=r"'encoder.scale' is 2.0, and the method builds its encoder with scale=0.5"):
        Recipe(CMC, encoder="resnet9(scale=2)").build_method()
    assert Recipe(CPC, encoder="resnet9(norm='layer', width=4)").build_method().encoder.out_features == 32


def test_a_function_of_a_file_builds_the_encoder(mine: str) -> None:
    recipe = Recipe(SimCLR, encoder=f"{mine}:build", in_channels=5).override({"encoder.width": 16})
    first, second = recipe.build_method(1), recipe.build_method(1)
    assert first.encoder.in_channels == 5 and first.encoder.out_features == 16
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)), (
        "a file that draws random numbers when it is run changes no weights"
    )


def test_a_function_gets_what_it_takes_and_the_rest_is_done_for_it(mine: str) -> None:
    assert load_encoder(f"{mine}:anything")(2, scale=0.5, norm="none").out_features == 4
    with pytest.warns(UserWarning, match="mine.py:build has one width"):
        encoder = load_encoder(f"{mine}:build")(1, scale=0.5, norm="layer")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("biuld", r"no function of .*mine.py 'biuld': did you mean 'build'\?"),
        ("network", "mine.py:network is a Flatten: name a function that builds the encoder"),
        ("broken", r"mine.py, line 20: KeyError: 'x'"),
        ("number", r"mine.py:number gives a int, not a network: return wrap"),
        ("build(depth=3)", r"no argument of .*mine.py:build 'depth': .*\(width\)"),
    ],
)
def test_functions_that_build_none_are_refused_in_one_line(mine: str, function: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        load_encoder(f"{mine}:{function}")()
    assert "\n" not in str(error.value)


def test_a_function_of_three_channels_says_how_it_could_take_others(mine: str) -> None:
    assert load_encoder(f"{mine}:rgb")().out_features == 4
    with pytest.raises(
        UsageError, match="rgb gives a network of images with 3 channels, and 1 are needed: let it take"
    ):
        load_encoder(f"{mine}:rgb")(1)


def test_a_file_is_run_when_a_method_is_built_and_only_with_noted_content(tmp_path: Path) -> None:
    path, marker = tmp_path / "mine.py", tmp_path / "marker"
    path.write_text(MINE)
    recipe = Recipe(SimCLR, encoder=f"{path}:build").with_noted_encoder()
    assert recipe.encoder_sha256 == encoder_sha256(f"{path}:build") and encoder_sha256("resnet9") is None
    path.write_text(MINE + f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(UsageError, match="is not the file that was noted"):
        recipe.build_method()
    assert not marker.exists()
    Recipe(SimCLR, encoder=f"{path}:build").build_method()
    assert marker.exists()
    with pytest.raises(UsageError, match=r"names no function: give PATH.py:NAME"):
        Recipe(SimCLR, encoder=f"{path}:1")


def test_the_feature_layer_is_a_setting_that_changes_no_training() -> None:
    recipe = Recipe(partial(SimCLR, augment=RandomView(size=32)), encoder="resnet9(width=4, stem_stride=1)")
    pooled = recipe.override({"feature_layer": "pool2x2"})
    assert pooled.settings["feature_layer"] == "pool2x2" and recipe.settings["feature_layer"] is None
    one, two = recipe.build_method(0).eval(), pooled.build_method(0).eval()
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert one.extract_features(x).shape == (2, 32) and two.extract_features(x).shape == (2, 128)
    assert torch.allclose(two.extract_features(x).view(2, 32, 4).mean(2), one.extract_features(x), atol=1e-6)
    views = one.views(x)
    assert all(torch.equal(a, b) for a, b in zip(one.embed(views).values(), two.embed(views).values(), strict=True))
    with pytest.raises(UsageError, match="setting 'feature_layer' is 'pool'"):
        recipe.override({"feature_layer": "pool"})


def test_methods_with_features_of_their_own_say_which_layers_they_have() -> None:
    class Own(SimCLR):
        def extract_features(self, x):
            return self.encoder(x)

    with pytest.raises(UsageError, match=r"no feature layer of Own 'pool2x2': .*\(null\)"):
        Recipe(Own, feature_layer="pool2x2").build_method()
    with pytest.raises(UsageError, match="no feature layer of CPC 'cls'"):
        Recipe(CPC, feature_layer="cls").build_method()
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    for method in (CMC, CPC):
        pooled, own = (Recipe(method, feature_layer=layer).build_method(0).eval() for layer in ("pool2x2", None))
        features = pooled.extract_features(x)
        assert features.shape[1] == 4 * own.extract_features(x).shape[1]
        globally = Recipe(method, feature_layer="global_pool").build_method(0).eval()
        assert torch.allclose(globally.extract_features(x), own.extract_features(x), atol=1e-6)


FAMILIES = {
    "smallconv(width=4)": "",
    "resnet18(width=4)": "",
    "torchvision:resnet18": "",
    "torchvision:convnext_tiny": "cpc and pirl",
    "timm:vit_tiny_patch16_224(img_size=32, patch_size=4, depth=1)": "",
    "timm:mixer_s32_224(img_size=32)": "cpc and pirl",
    "MINE:tokens": "",
    "MINE:build": "",
}
"""Encoders, with the methods whose patches of 8 pixels they do not take."""
TOKENS = """

class Tokens(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.embed = nn.Conv2d(channels, 8, 4, 4)

    def forward(self, pixel_values):
        return {"last_hidden_state": self.embed(pixel_values).flatten(2).transpose(1, 2)}

def tokens(in_channels):
    return wrap(Tokens(in_channels), 8)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* has one width:UserWarning")
@pytest.mark.parametrize("method", ["simclr", "moco", "swav", "cmc", "pirl", "cpc"])
@pytest.mark.parametrize("encoder", FAMILIES)
def test_every_family_of_encoders_is_trained_by_every_method(encoder: str, method: str, tmp_path: Path) -> None:
    """Two steps change the weights and leave finite features, or one line refuses before anything is trained."""
    if encoder.startswith("timm"):
        pytest.importorskip("timm")
    (tmp_path / "mine.py").write_text(MINE + TOKENS)
    sizes = {"batch_size": 8, "epochs": 1, "encoder": encoder.replace("MINE", f"{tmp_path}/mine.py")}
    recipe = shrunk(load_recipe(method)).override(sizes)
    stream = array_stream(3)
    if method in FAMILIES[encoder]:
        with pytest.raises(UsageError, match=r"patches are 8x8|change the patches \(--set patch=...\)") as error:
            recipe.build(benchmark=stream)
        assert "\n" not in str(error.value)
        return
    strategy = recipe.build(benchmark=stream)
    before = [p.clone() for p in strategy.model.encoder.parameters()]
    strategy.train(stream.train_stream[:1], eval_streams=[])
    assert any(not torch.equal(a, b) for a, b in zip(before, strategy.model.encoder.parameters(), strict=True))
    features = strategy.model.eval().extract_features(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert features.ndim == 2 and features.isfinite().all()
