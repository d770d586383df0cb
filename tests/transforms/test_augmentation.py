"""Views against torchvision's functional, image by image, and the laws of their random parameters.

Tolerances: both sides round float32 in another order, so values in [0, 1] agree to a few 1e-6. Hue divides by
the range of the channels and multiplies by it again, which keeps it there. Wider bounds are explained where used.
"""

import contextlib
import dataclasses
import math

import pytest
import torch
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from avalanche_ssl.errors import UsageError
from avalanche_ssl.rng import uniform
from avalanche_ssl.transforms import color
from avalanche_ssl.transforms.augmentation import RandomView
from avalanche_ssl.transforms.geometry import gaussian_blur, random_boxes, resized_crop

SIZES = [(32, 32), (17, 40), (64, 48), (5, 3)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=24, height=32, width=32, channels=3, seed=0):
    """Noise, smooth colours, few levels with many ties between channels, grays, pure black and white."""
    generator = seeded(seed)
    x = torch.rand(n, channels, height, width, generator=generator)
    coarse = torch.rand(n, channels, 3, 3, generator=generator)
    x[1::4] = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[1::4]
    x[2::4] = (x[2::4] * 3).round() / 3
    x[3::8] = x[3::8, :1]
    x[7::8] = (x[7::8, :1] > 0.5).float()
    return x


def close(ours, theirs, bound=1e-5):
    assert ours.shape == theirs.shape
    assert ours.dtype == torch.float32
    assert (ours - theirs).abs().max() <= bound


def one_by_one(operation, x, *parameters):
    rows = zip(x, *(p.tolist() for p in parameters), strict=True)
    return torch.stack([operation(*row) for row in rows])


FACTORS = {
    "brightness": (color.brightness, tv.adjust_brightness, 0.0, 2.0),
    "contrast": (color.contrast, tv.adjust_contrast, 0.0, 2.0),
    "saturation": (color.saturation, tv.adjust_saturation, 0.0, 2.0),
    "hue": (color.hue, tv.adjust_hue, -0.5, 0.5),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("name", FACTORS)
def test_colour_operations_equal_torchvision(name, shape, channels):
    ours, theirs, low, high = FACTORS[name]
    x = images(40, *shape, channels)
    factor = uniform((40,), low, high, seeded(1))
    factor[:3] = torch.tensor([low, high, (low + high) / 2])
    before = x.clone()
    close(ours(x, factor), one_by_one(theirs, x, factor))
    assert torch.equal(x, before)


@pytest.mark.parametrize("shift", [-0.5, -1 / 3, -1 / 6, 0.0, 1 / 6, 1 / 3, 0.5])
def test_hue_equals_torchvision_at_the_corners_of_the_colour_circle(shift):
    # Sectors meet here and both sides may round into different ones; hue is continuous, so values still agree.
    levels = torch.tensor([0.0, 1e-3, 0.5, 1.0])
    x = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 8, 8)
    close(color.hue(x, torch.tensor([shift])), tv.adjust_hue(x, shift))


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_gray_and_solarize_equal_torchvision(shape):
    for channels in (1, 3):
        x = images(24, *shape, channels)
        close(color.grayscale(x), tv.rgb_to_grayscale(x, num_output_channels=channels), 1e-6)
        for threshold in (0.0, 1 / 3, 0.5, 1.0):
            close(color.solarize(x, threshold), tv.solarize(x, threshold), 0)


@pytest.mark.parametrize(("shape", "kernel"), [((32, 32), 3), ((17, 40), 9), ((40, 24), 23), ((5, 3), 5)], ids=str)
def test_blur_equals_torchvision(shape, kernel):
    x = images(24, *shape)
    sigma = uniform((24,), 0.1, 3.0, seeded(1))
    close(gaussian_blur(x, sigma, kernel), one_by_one(lambda i, s: tv.gaussian_blur(i, kernel, s), x, sigma))


@pytest.mark.parametrize("kernel", [4, 11])
def test_blur_refuses_a_kernel_that_does_not_fit(kernel):
    with pytest.raises(ValueError, match=f"blur kernel {kernel} does not fit images of 32x5"):
        gaussian_blur(torch.rand(2, 3, 32, 5), torch.ones(2), kernel)


def random_crops(n, height, width, seed=1):
    """Boxes of any shape, the whole image, single pixels."""
    share = torch.rand(4, n, generator=seeded(seed))
    h, w = (share[0] * height).long() + 1, (share[1] * width).long() + 1
    h[0], w[0], h[1], w[1] = height, width, 1, 1
    top, left = (share[2] * (height - h + 1)).long(), (share[3] * (width - w + 1)).long()
    return top, left, h, w


def torchvision_crop(image, top, left, height, width, flip, size, interpolation):
    mode = InterpolationMode(interpolation)
    view = tv.resized_crop(image, top, left, height, width, list(size), mode, antialias=True).clamp(0, 1)
    return tv.horizontal_flip(view) if flip else view


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((32, 32), (32, 32)),
        ((40, 23), (16, 24)),
        ((9, 12), (30, 31)),
        ((250, 180), (96, 96)),
        ((64, 64), (224, 224)),
    ],
    ids=str,
)
def test_crop_equals_torchvision(shape, size, interpolation):
    # The weights of a tap depend on its distance to a centre up to 250 pixels away: float32 holds 1.5e-5 there.
    n = 48 if max(*shape, *size) < 64 else 12
    x, boxes = images(n, *shape), random_crops(n, *shape)
    flip = torch.rand(n, generator=seeded(2)) < 0.5
    theirs = one_by_one(lambda *row: torchvision_crop(*row, size, interpolation), x, *boxes, flip)
    close(resized_crop(x, *boxes, size, flip, interpolation), theirs, 1e-5 if max(*shape, *size) < 64 else 5e-5)


def test_crop_of_the_whole_image_is_the_image():
    x, zero, full = images(), torch.zeros(24), torch.full((24,), 32)
    for interpolation in ("bilinear", "bicubic"):
        assert torch.equal(resized_crop(x, zero, zero, full, full, 32, None, interpolation), x)


def naive_lab(red, green, blue):
    """CIE Lab of one sRGB pixel, from the definitions."""
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue))
    x = (0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.95047
    y = 0.212671 * r + 0.715160 * g + 0.072169 * b
    z = (0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def test_lab_equals_the_formula_pixel_by_pixel():
    # Differences of cube roots times 500: 1e-3 is 1e-5 of the range.
    levels = torch.tensor([0.0, 0.02, 0.0404, 0.0405, 0.05, 0.5, 0.8, 1.0])
    pixels = torch.cartesian_prod(levels, levels, levels)
    lab = color.rgb_to_lab(pixels.T.reshape(1, 3, 32, 16))
    slow = torch.tensor([naive_lab(*pixel) for pixel in pixels.tolist()])
    assert (lab.reshape(3, -1).T - slow).abs().max() < 1e-3


def test_lab_of_known_colours():
    # The red, green and blue of sRGB in Lab are textbook values (D65).
    pixels = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    known = torch.tensor(
        [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [100, 0, 0], [0, 0, 0]]
    )
    lab = color.rgb_to_lab(pixels.T.reshape(1, 3, 5, 1)).reshape(3, 5).T
    assert (lab - known).abs().max() < 0.02
    gray = color.rgb_to_lab(torch.linspace(0, 1, 256).expand(1, 3, 1, 256))
    assert gray[:, 1:].abs().max() < 1e-2
    assert (gray[0, 0, 0].diff() > 0).all()


def test_lab_views_fill_minus_one_to_one_over_all_colours():
    levels = torch.linspace(0, 1, 32)
    cube = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 256, 128)
    luminance, chrominance = color.lab_views(cube)
    assert luminance.shape == (1, 1, 256, 128)
    assert chrominance.shape == (1, 2, 256, 128)
    for channel in torch.cat((luminance, chrominance), 1)[0]:
        assert channel.min() == pytest.approx(-1, abs=2e-3)
        assert channel.max() == pytest.approx(1, abs=2e-3)


def test_lab_refuses_gray_images():
    with pytest.raises(ValueError, match=r"Lab needs RGB \(B, 3, H, W\), not \(2, 1, 8, 8\)"):
        color.rgb_to_lab(torch.rand(2, 1, 8, 8))


def test_normalize_equals_torchvision():
    x, mean, std = images(), (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    close(color.normalize(x, mean, std), tv.normalize(x, mean, std))
    close(color.normalize(x, 0.5, 0.25), tv.normalize(x, [0.5] * 3, [0.25] * 3))
    with pytest.raises(ValueError, match="mean has 3 numbers, images 1 channels: give 1 or 1"):
        color.normalize(x[:, :1], mean, std)


def test_boxes_follow_the_law_of_torchvision():
    n, image = 3000, torch.empty(3, 32, 48)
    torch.manual_seed(0)
    get_params = transforms.RandomResizedCrop.get_params
    theirs = torch.tensor([get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(n)]).double()
    ours = torch.stack(random_boxes(n, 32, 48, (0.2, 1.0), (3 / 4, 4 / 3), seeded()), 1).double()

    def describe(boxes):
        top, left, height, width = boxes.T
        return torch.stack((height * width / (32 * 48), (width / height).log(), top / 32, left / 48), 1)

    a, b = describe(ours), describe(theirs)
    for column in range(4):
        # Two-sample Kolmogorov-Smirnov distance; 1.95 sqrt(2/n) is exceeded once in a thousand.
        grid = torch.cat((a[:, column], b[:, column])).unique()
        cdf = [(torch.searchsorted(s[:, column].sort().values, grid, right=True) / n) for s in (a, b)]
        assert (cdf[0] - cdf[1]).abs().max() < 1.95 * math.sqrt(2 / n)


@pytest.mark.parametrize("shape", [(32, 32), (7, 60), (1, 1)], ids=str)
def test_boxes_lie_inside_the_image(shape):
    top, left, height, width = random_boxes(5000, *shape, (0.01, 1.0), (0.5, 2.0), seeded())
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= shape[0]).all()
    assert (left + width <= shape[1]).all()
    assert top.dtype == torch.int64


@pytest.mark.parametrize("shape", [(10, 100), (100, 10)], ids=str)
def test_boxes_fall_back_to_the_centre(shape):
    # No box of 90 % of the area has a ratio near 1: torchvision takes the central box with the nearest ratio.
    theirs = transforms.RandomResizedCrop.get_params(torch.empty(3, *shape), [0.9, 1.0], [3 / 4, 4 / 3])
    boxes = torch.stack(random_boxes(50, *shape, (0.9, 1.0), (3 / 4, 4 / 3), seeded()), 1)
    assert (boxes == torch.tensor(theirs)).all()


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
    whole = augment.apply(x, draw)
    monkeypatch.setattr("avalanche_ssl.transforms.augmentation.BLOCK", 3 * 32 * 32 * 7)
    close(augment.apply(x, draw), whole, 1e-6)


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


def test_rgb_is_the_view_before_normalisation():
    augment = RandomView(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    x = images()
    assert torch.equal(color.normalize(augment.rgb(x, seeded()), augment.mean, augment.std), augment(x, seeded()))


def test_plain_only_normalises():
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
        ({"ratio": (0, 1)}, "ratio is (0, 1): it must be (low, high), 0 < low <= high"),
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
        ({"blur_sigma": (0.0, 1.0)}, "blur_sigma is (0.0, 1.0): it must be (low, high), 0 < low <= high"),
        ({"std": (0.2, 0.0, 0.2)}, "std is (0.2, 0.0, 0.2): it must be above 0"),
    ],
    ids=str,
)
def test_wrong_settings_are_refused_in_one_line(setting, message):
    with pytest.raises(UsageError) as error:
        RandomView(**setting)
    assert str(error.value) == message
    with pytest.raises(UsageError):
        dataclasses.replace(RandomView(), **setting)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 32, 32, 3), (2, 2, 8, 8)], ids=str)
def test_wrong_shapes_are_refused(shape):
    for view in (RandomView(), RandomView().normalize_only):
        with pytest.raises(ValueError, match=r"images are \(B, 3, H, W\) or \(B, 1, H, W\), not"):
            view(torch.rand(shape))


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
    # Solarising jumps at 0.5, where rounding differs between devices.
    assert ((view.cpu() - augment(x, seeded(1))).abs() > 1e-4).float().mean() < 1e-3
