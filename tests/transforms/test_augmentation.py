"""Random views against torchvision with the same parameters, and the laws of the parameters.

Tolerances: both sides round float32 in another order, so values in [0, 1] agree to a few 1e-6; wider bounds are
explained where used.
"""

import contextlib
import dataclasses
import math

import pytest
import torch
from helpers.views import close, images, seeded, torchvision_crop
from torchvision.transforms.v2 import functional as tv

from avalanche_ssl.errors import UsageError
from avalanche_ssl.transforms import color
from avalanche_ssl.transforms.augmentation import RandomView


def torchvision_view(augment, x, draw):
    """What torchvision makes of each image with the drawn parameters."""
    steps = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue)
    size, views = (augment.size, augment.size), []
    for i, image in enumerate(x):
        box = [int(v[i]) for v in (draw.top, draw.left, draw.height, draw.width)]
        view = torchvision_crop(image, *box, bool(draw.hflip[i]), size, augment.interpolation)
        factors = [float(v[i]) for v in (draw.brightness, draw.contrast, draw.saturation, draw.hue)]
        for step in draw.order if draw.jitter[i] else ():
            view = steps[step](view, factors[step])
        if draw.gray[i]:
            view = tv.rgb_to_grayscale(view, x.shape[1])
        if draw.blur[i]:
            view = tv.gaussian_blur(view, augment.blur_kernel, float(draw.sigma[i]))
        if draw.solarize[i]:
            view = tv.solarize(view, 0.5)
        views.append(view)
    return torch.stack(views)


@pytest.mark.parametrize(
    ("augment", "shape"),
    [
        (RandomView(), (3, 32, 32)),
        (RandomView(size=20, interpolation="bicubic", blur_prob=0.5, hue=0.5, gray_prob=0.3), (3, 45, 33)),
        (RandomView(size=48, blur_prob=0.5, blur_kernel=7), (3, 32, 32)),
        (RandomView(size=16, blur_prob=0.5), (1, 28, 28)),
    ],
    ids=["default", "everything", "enlarged", "gray"],
)
def test_a_view_equals_torchvision_with_the_same_draw(augment, shape):
    x = images(96, *shape[1:], shape[0])
    for seed in range(3):
        draw = augment.sample_params(x, seeded(seed))
        close(augment.apply(x, draw), torchvision_view(augment, x, draw), 2e-5)


def test_solarized_views_equal_torchvision():
    # Inversion jumps at 0.5, where rounding decides: all but a few values must agree.
    augment, x = RandomView(solarize_prob=0.5), images(96)
    draw = augment.sample_params(x, seeded())
    apart = (augment.apply(x, draw) - torchvision_view(augment, x, draw)).abs() > 2e-5
    assert apart.float().mean() < 1e-3


def test_blocks_do_not_show(monkeypatch):
    augment, x = RandomView(blur_prob=0.5), images(50)
    draw = augment.sample_params(x, seeded())
    at_once = augment.apply(x, draw)
    monkeypatch.setattr("avalanche_ssl.transforms.augmentation.BLOCK", 3 * 32 * 32 * 7)
    close(augment.apply(x, draw), at_once, 1e-6)


def test_computing_all_images_and_choosing_equals_computing_the_chosen(monkeypatch):
    # Devices other than the CPU take this way.
    augment, x = RandomView(blur_prob=0.5, solarize_prob=0.3), images(50)
    draw = augment.sample_params(x, seeded())

    def blend(chosen, x, operation, *parameters):
        return torch.where(color.per_image(chosen), operation(x, *parameters), x)

    chosen = augment.apply(x, draw)
    monkeypatch.setattr("avalanche_ssl.transforms.augmentation._where", blend)
    close(augment.apply(x, draw), chosen, 1e-6)


def test_every_image_has_its_own_parameters():
    same = images(1).expand(64, -1, -1, -1)
    draw = RandomView().sample_params(same, seeded())
    for name in ("brightness", "contrast", "saturation", "hue", "sigma"):
        assert getattr(draw, name).unique().numel() == 64
    boxes = torch.stack((draw.top, draw.left, draw.height, draw.width), 1)
    assert boxes.unique(dim=0).shape[0] > 50
    views = RandomView()(same, seeded()).flatten(1)
    assert torch.cdist(views, views).fill_diagonal_(1).min() > 1e-2
    # The parameters are independent of each other as well: correlations over many images vanish.
    many = RandomView().sample_params(torch.empty(10_000, 3, 4, 4), seeded())
    columns = torch.stack([v.float() for v in many[4:-1] if v.float().std() > 0])
    correlation = torch.corrcoef(columns) - torch.eye(len(columns))
    assert correlation.abs().max() < 0.05


def test_a_generator_decides_the_views():
    augment, x = RandomView(blur_prob=0.5, solarize_prob=0.5), images()
    generator = seeded(3)
    first, second = augment(x, generator), augment(x, generator)
    assert (first - second).abs().mean() > 0.1
    again = seeded(3)
    assert torch.equal(augment(x, again), first)
    assert torch.equal(augment(x, again), second)
    torch.manual_seed(5)
    globally = augment(x)
    torch.manual_seed(5)
    assert torch.equal(augment(x), globally)


def test_a_given_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    RandomView()(images(), seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_order_of_the_jitter_changes_from_call_to_call():
    generator, x = seeded(), torch.empty(1, 3, 4, 4)
    orders = [tuple(RandomView().sample_params(x, generator).order) for _ in range(400)]
    assert len(set(orders)) == 24
    assert max(orders.count(order) for order in set(orders)) < 45


def test_probabilities_and_ranges():
    n = 20_000
    augment = RandomView(
        hflip_prob=0.5, jitter_prob=0.8, gray_prob=0.2, blur_prob=0.1, solarize_prob=0.05, brightness=1.5, hue=0.3
    )
    draw = augment.sample_params(torch.empty(n, 3, 2, 2), seeded())
    for name in ("hflip", "jitter", "gray", "blur", "solarize"):
        p = getattr(augment, f"{name}_prob")
        assert getattr(draw, name).float().mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / n))
    ranges = {"brightness": (0, 2.5), "contrast": (0.6, 1.4), "hue": (-0.3, 0.3), "sigma": (0.1, 2)}
    for name, (low, high) in ranges.items():
        values = getattr(draw, name)
        assert low <= values.min() < low + 1e-3 * (high - low)
        assert high - 1e-3 * (high - low) < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=4 * (high - low) / math.sqrt(12 * n))


def test_chosen_images_change_and_the_others_stay():
    still = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "hflip_prob": 0, "jitter_prob": 0, "gray_prob": 0}
    x = images(400, 8, 8)[0::4]
    for step in ("hflip", "jitter", "gray", "blur", "solarize"):
        augment = RandomView(size=8, **{**still, f"{step}_prob": 0.5})
        draw = augment.sample_params(x, seeded())
        changed = (augment.apply(x, draw) != x).flatten(1).any(1)
        assert torch.equal(changed, getattr(draw, step))
    assert torch.equal(RandomView(size=8, **still).rgb(x), x)


def test_uint8_and_float_images_give_the_same_views():
    raw = (images() * 255).to(torch.uint8)
    before = raw.clone()
    augment = RandomView()
    assert torch.equal(augment(raw, seeded()), augment(raw.float() / 255, seeded()))
    assert torch.equal(augment.normalize_only(raw), augment.normalize_only(raw.float() / 255))
    close(color.to_float(raw), torch.stack([tv.to_dtype(i, torch.float32, scale=True) for i in raw]), 1e-7)
    assert torch.equal(raw, before)


def test_views_do_not_write_into_float_images():
    x = images()
    before = x.clone()
    RandomView(blur_prob=1, solarize_prob=1)(x)
    RandomView().normalize_only(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    "shape", [(0, 3, 32, 32), (1, 3, 32, 32), (3, 1, 28, 28), (2, 3, 20, 90), (2, 3, 1, 1)], ids=str
)
def test_a_view_is_square_and_in_range(shape):
    augment = RandomView(blur_prob=0.5, solarize_prob=0.5, interpolation="bicubic", mean=0.0, std=1.0)
    raw = torch.randint(0, 256, shape, dtype=torch.uint8)
    for size, edge in ((None, 32), (24, 24)):
        view = augment(raw, size=size)
        assert view.shape == (*shape[:2], edge, edge)
        assert view.is_contiguous()
        assert torch.isfinite(view).all()
        assert ((view >= 0) & (view <= 1)).all()


def test_rgb_is_the_view_before_normalization():
    augment = RandomView(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    x = images()
    assert torch.equal(color.normalize(augment.rgb(x, seeded()), augment.mean, augment.std), augment(x, seeded()))


def test_normalize_only_does_nothing_else():
    x = images(4, 20, 30)
    assert torch.equal(RandomView().normalize_only(x), (x - 0.5) / 0.25)


def test_autocast_does_not_coarsen_views():
    augment, x = RandomView(blur_prob=1.0), images()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = augment(x, seeded())
    assert torch.equal(inside, augment(x, seeded()))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"size": 0}, "size is 0: it must be at least 1 pixel"),
        ({"scale": (0.5, 0.2)}, "scale is (0.5, 0.2): it must be (low, high), 0 < low <= high <= 1"),
        ({"scale": (0.5, 1.2)}, "scale is (0.5, 1.2): it must be (low, high), 0 < low <= high <= 1"),
        ({"ratio": (0, 1)}, "ratio is (0, 1): it must be (low, high), 0 < low <= high, both finite"),
        ({"interpolation": "cubic"}, "interpolation is 'cubic': it must be bilinear or bicubic"),
        ({"hflip_prob": 1.5}, "hflip_prob is 1.5: it must be a probability from 0 to 1"),
        ({"gray_prob": math.nan}, "gray_prob is nan: it must be a probability from 0 to 1"),
        ({"contrast": -0.1}, "contrast is -0.1: it must be a strength of 0 or more"),
        ({"hue": 0.6}, "hue is 0.6: it must be from 0 to 0.5 turns"),
        ({"blur_kernel": 4}, "blur_kernel is 4: it must be odd and positive"),
        (
            {"blur_prob": 0.5, "size": 8, "blur_kernel": 23},
            "blur_kernel is 23: it must be below 16, twice the size of a view",
        ),
        ({"blur_sigma": (0.0, 1.0)}, "blur_sigma is (0.0, 1.0): it must be (low, high), 0 < low <= high, both finite"),
        ({"std": (0.2, 0.0, 0.2)}, "std is (0.2, 0.0, 0.2): it must be above 0 and finite"),
        ({"std": math.inf}, "std is inf: it must be above 0 and finite"),
        ({"mean": (0.5, math.inf, 0.5)}, "mean is (0.5, inf, 0.5): it must be finite"),
        ({"ratio": (1, math.inf)}, "ratio is (1, inf): it must be (low, high), 0 < low <= high, both finite"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_in_one_line(setting, message):
    with pytest.raises(UsageError) as error:
        RandomView(**setting)
    assert str(error.value) == message
    with pytest.raises(UsageError):
        dataclasses.replace(RandomView(), **setting)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 32, 32, 3), (2, 32, 30, 1)], ids=str)
def test_wrong_shapes_are_refused(shape):
    for view in (RandomView(), RandomView().normalize_only):
        with pytest.raises(ValueError, match=r"images are \(B, C, H, W\), not .*: move channels to dimension 1"):
            view(torch.rand(shape))


def test_colors_of_images_without_colors_are_left_alone():
    """Four and thirteen channels: jitter of brightness and contrast works on each, with the channel's own mean."""
    x = torch.cat([images(24, channels=3, seed=seed) for seed in range(5)], dim=1)
    plain = RandomView(saturation=0.0, hue=0.0, gray_prob=0.0)
    colorful = dataclasses.replace(plain, saturation=0.9, hue=0.5, gray_prob=1.0)
    for channels in (4, 13):
        draw = plain.sample_params(x[:, :channels], seeded())
        view = plain.apply(x[:, :channels], draw)
        assert torch.equal(colorful.apply(x[:, :channels], draw._replace(gray=draw.gray | True)), view)
        for band in range(channels):
            close(plain.apply(x[:, band : band + 1], draw), view[:, band : band + 1], 1e-6)


def test_mean_and_std_have_one_number_per_channel():
    x, mean, std = images(3, channels=4), (0.1, 0.2, 0.3, 0.4), (1.0, 2.0, 4.0, 8.0)
    view = RandomView(mean=mean, std=std).normalize_only(x)
    close(view, (x - torch.tensor(mean).view(1, 4, 1, 1)) / torch.tensor(std).view(1, 4, 1, 1))
    with pytest.raises(UsageError, match="mean has 4 numbers, images 3 channels: give 1 or 3"):
        RandomView(mean=mean)(x[:, :3])


def test_wrong_types_are_refused():
    with pytest.raises(ValueError, match=r"images are uint8 or float in \[0, 1\], not torch.int64"):
        RandomView()(torch.zeros(2, 3, 8, 8, dtype=torch.long))


def test_a_device_never_has_to_be_waited_for(monkeypatch):
    # Meta tensors have shapes but no values: whatever would read a value from a device fails on them.
    monkeypatch.setattr("torch.autocast", lambda *args, **kwargs: contextlib.nullcontext())  # knows no meta
    augment = RandomView(blur_prob=0.5, solarize_prob=0.2, interpolation="bicubic", mean=(0.4, 0.5, 0.6))
    raw = torch.empty(8, 3, 40, 36, dtype=torch.uint8, device="meta")
    for generator in (None, seeded()):
        assert augment(raw, generator).shape == (8, 3, 32, 32)
        assert color.lab_views(augment.rgb(raw, generator))[1].shape == (8, 2, 32, 32)
    with pytest.raises(RuntimeError):
        augment.sample_params(raw).hflip.any().item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_device_gives_the_same_views_without_waiting():
    augment, x = RandomView(blur_prob=0.5, solarize_prob=0.2, mean=(0.4, 0.5, 0.6)), images(64)
    on_device = x.cuda()
    augment(on_device, seeded())
    torch.cuda.set_sync_debug_mode("error")
    try:
        view = augment(on_device, seeded(1))
        own = augment(on_device, torch.Generator("cuda").manual_seed(1))
        color.lab_views(augment.rgb(on_device))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert own.isfinite().all()
    # Solarizing jumps at 0.5, where rounding differs between devices.
    assert ((view.cpu() - augment(x, seeded(1))).abs() > 1e-4).float().mean() < 1e-3
