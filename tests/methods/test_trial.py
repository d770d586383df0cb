"""Trials of methods: what does not fit is one line with its sizes and the remedy, and nothing changes."""

from functools import partial

import pytest
import torch
from helpers.encoders import tiny
from helpers.methods import SMALL
from torch import nn
from torchvision.models import VisionTransformer

from avalanche_ssl.checks.harness import full_state
from avalanche_ssl.checks.snapshot import changed
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, CPC, PIRL, MoCo, SimCLR, SwAV, channels_of, check_channels, try_images
from avalanche_ssl.models import Encoder, wrap
from avalanche_ssl.transforms import RandomView

ORDERED = sorted(SMALL, key=lambda method: method.__name__)


def transformer(*_, size=16, **__):
    """A small vision transformer of torchvision, for images of one size."""
    network = VisionTransformer(size, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16)
    return wrap(network, 16, head="heads")


@pytest.mark.parametrize("cls", ORDERED)
def test_a_trial_changes_nothing(cls):
    method = cls(tiny, **SMALL[cls]).train()
    method.generator = torch.Generator().manual_seed(3)
    before = full_state(method)
    try_images(method, (3, 40, 36), "cpu")
    assert not changed(before, full_state(method))
    assert method.training


@pytest.mark.parametrize("cls", ORDERED)
@pytest.mark.parametrize("channels", [1, 4, 13])
def test_an_encoder_of_other_channels_is_named_with_the_remedy(cls, channels):
    method = cls(tiny, **SMALL[cls])
    if channels == 1 and not method.needs_color:
        try_images(method, (1, 32, 32), "cpu")  # batches of gray images become RGB
        return
    with pytest.raises(UsageError) as error:
        try_images(method, (channels, 32, 32), "cpu")
    message = str(error.value)
    assert "\n" not in message
    assert f"{channels} channel" in message
    assert ("needs RGB" if cls is CMC else f"--set in_channels={channels}") in message


def test_which_channels_a_model_takes():
    assert channels_of(SimCLR(partial(tiny, 13))) == 13
    assert channels_of(CMC(tiny)) == 3
    assert channels_of(nn.Linear(2, 2)) is None
    assert channels_of(SimCLR(lambda: Encoder(nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 8)), 8))) is None


def test_methods_that_need_color_name_others():
    check_channels(SimCLR(tiny), 13)
    check_channels(CMC(tiny), 3)
    with pytest.raises(UsageError, match="CMC splits colors and needs RGB, and the images have 13 channels: choose"):
        check_channels(CMC(tiny), 13)


def test_views_of_another_size_than_the_encoders():
    with pytest.raises(
        UsageError, match=r"views are 32x32, and the encoder takes images of 16x16 only: .*augment.size=16"
    ):
        try_images(SimCLR(transformer), (3, 32, 32), "cpu")
    try_images(SimCLR(transformer, augment=RandomView(size=16)), (3, 96, 96), "cpu")


def test_other_sizes_that_do_not_fit():
    """Small images become no features of CPC's patches; all sizes are named."""
    with pytest.raises(UsageError) as error:
        try_images(CPC(tiny, **SMALL[CPC]), (3, 6, 6), "cpu")
    message = str(error.value)
    assert "a patch of 8 pixels does not fit images of 6x6" in message
    assert "\n" not in message


def test_a_network_without_a_declared_size_is_explained_by_its_own_error():
    def flat(*_, **__):
        return Encoder(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 8)), 8)

    with pytest.raises(UsageError) as error:
        try_images(SimCLR(flat, augment=RandomView(size=24)), (3, 32, 32), "cpu")
    message = str(error.value)
    for part in ("32x32 with 3 channels", "first 24x24", "SimCLR", "augment.size", "--benchmark-option size"):
        assert part in message
    assert "\n" not in message
    with pytest.raises(UsageError, match="images of 64x64"):  # views fit, features of whole images do not
        try_images(SimCLR(flat), (3, 64, 64), "cpu")


@pytest.mark.parametrize(
    ("cls", "settings", "remedy"),
    [
        (SwAV, {"small_crops": 2, "small_size": 8}, r"16x16 only, and small crops are 8x8: give small_crops=0"),
        (PIRL, {}, r"16x16 only, and patches are 8x8: give pretext='rotation'"),
        (CPC, {"offsets": (2,)}, r"16x16 only, and patches are 8x8: give an encoder for any size"),
    ],
)
def test_small_crops_and_patches_of_a_transformer_are_refused_when_made(cls, settings, remedy):
    with pytest.raises(UsageError, match=remedy):
        cls(transformer, augment=RandomView(size=16), **settings)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (SwAV, {}),
        (SwAV, {"small_crops": 2, "small_size": 16}),
        (PIRL, {"pretext": "rotation", "transform": RandomView(size=16)}),
        (MoCo, {}),
    ],
)
def test_methods_work_with_a_transformer_where_all_views_have_its_size(cls, settings):
    try_images(cls(transformer, augment=RandomView(size=16), **SMALL[cls] | settings), (3, 32, 32), "cpu")


def test_features_of_a_transformer_are_those_of_resized_images():
    torch.manual_seed(0)
    method = SimCLR(transformer, augment=RandomView(size=16)).eval()
    x = torch.randint(0, 256, (3, 3, 40, 24), dtype=torch.uint8)
    smaller = nn.functional.interpolate(method.augment.normalize_only(x), (16, 16), mode="bilinear", antialias=True)
    assert torch.equal(method.extract_features(x), method.encoder(smaller))
    same = x[:, :, :16, :16]
    assert torch.equal(method.extract_features(same), method.encoder(method.augment.normalize_only(same)))


def test_a_method_without_features_can_be_trained():
    class NoFeatures(SimCLR):
        def extract_features(self, x):
            raise NotImplementedError

    try_images(NoFeatures(tiny), (3, 32, 32), "cpu")


def test_other_errors_keep_their_traceback():
    class Broken(SimCLR):
        def embed(self, views):
            return {}["first"]

    with pytest.raises(KeyError):
        try_images(Broken(tiny), (3, 32, 32), "cpu")
