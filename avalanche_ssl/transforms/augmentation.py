"""`RandomView`: random crops with color jitter, gray, blur and solarization.

Parameters are drawn per image (`sample_params`) and then applied as batched tensor operations of `geometry` and
`color` (`apply`), on any device, without a loop over images.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import NamedTuple, get_args

import torch
from torch import Generator, Tensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.rng import uniform
from avalanche_ssl.transforms import color
from avalanche_ssl.transforms.color import grayscale, normalize, per_image, to_float
from avalanche_ssl.transforms.geometry import Interpolation, gaussian_blur, random_boxes, resized_crop
from avalanche_ssl.transforms.raw_images import check_range

BLOCK = 2**19
"""Values per block (2 MiB) in which the CPU computes views; it changes no result. malloc returns larger blocks to the
system by default, and on smaller ones several threads gain little."""


class ViewParams(NamedTuple):
    """Random parameters of one view: (B,) tensors with one value per image, and one order of the jitter steps."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    hflip: Tensor
    jitter: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    gray: Tensor
    blur: Tensor
    sigma: Tensor
    solarize: Tensor
    order: list[int]

    def rows(self, rows: slice) -> ViewParams:
        """The parameters of a slice of the images."""
        values = self._asdict().items()
        return self._replace(**{name: value[rows] for name, value in values if name != "order"})


@dataclass(frozen=True)
class RandomView:
    """Settings of a random view; the defaults are SimCLR's and MoCo v2's at 32x32, without blur.

    Steps: crop, resize and mirror; color jitter; gray; blur; solarize; normalize. The four operations of the jitter
    come in a random order, drawn once per call. `dataclasses.replace(augment, blur_prob=0.5)` gives a variant.

    Args:
        size: height and width of a view in pixels.
        scale, ratio: the crop's share of the image's area, and its width/height.
        interpolation: "bilinear" or "bicubic", antialiased.
        hflip_prob: probability of mirroring left to right.
        brightness, contrast, saturation: a strength s gives factors uniform in [max(0, 1 - s), 1 + s].
        hue: shifts are uniform in [-hue, hue] turns, hue at most 0.5.
        jitter_prob: probability of these four operations together.
        gray_prob, blur_prob, solarize_prob: probabilities.
        blur_kernel: odd number of taps.
        blur_sigma: range of the standard deviation in pixels.
        mean, std: normalization, one number or one per channel of the images. The defaults suit natural images: the
            statistics of a stream are unknown when it begins.

    Raises:
        UsageError: a value is out of its range.
    """

    size: int = 32
    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Interpolation = "bilinear"
    hflip_prob: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    jitter_prob: float = 0.8
    gray_prob: float = 0.2
    blur_prob: float = 0.0
    blur_kernel: int = 3
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarize_prob: float = 0.0
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25

    def __post_init__(self) -> None:
        means, stds = _numbers(self.mean), _numbers(self.std)
        self._require(self.size >= 1, "size", "at least 1 pixel")
        names = get_args(Interpolation)
        self._require(_is_range(self.scale, most=1), "scale", "(low, high), 0 < low <= high <= 1")
        self._require(_is_range(self.ratio), "ratio", "(low, high), 0 < low <= high, both finite")
        self._require(_is_range(self.blur_sigma), "blur_sigma", "(low, high), 0 < low <= high, both finite")
        self._require(self.interpolation in names, "interpolation", " or ".join(names))
        for name in ("hflip_prob", "jitter_prob", "gray_prob", "blur_prob", "solarize_prob"):
            self._require(0 <= getattr(self, name) <= 1, name, "a probability from 0 to 1")
        for name in ("brightness", "contrast", "saturation"):
            self._require(0 <= getattr(self, name) < inf, name, "a strength of 0 or more")
        self._require(0 <= self.hue <= 0.5, "hue", "from 0 to 0.5 turns")
        self._require(self.blur_kernel > 0 and self.blur_kernel % 2 == 1, "blur_kernel", "odd and positive")
        fits = not self.blur_prob or self.blur_kernel < 2 * self.size
        self._require(fits, "blur_kernel", f"below {2 * self.size}, twice the size of a view")
        self._require(all(isfinite(mean) for mean in means), "mean", "finite")
        self._require(all(0 < std < inf for std in stds), "std", "above 0 and finite")

    def __call__(self, x: Tensor, generator: Generator | None = None, size: int | None = None) -> Tensor:
        """One random, normalized view (B, C, size, size) of raw images.

        Args:
            x: images (B, C, H, W), uint8 or float in [0, 1]; saturation, hue and gray are of RGB and do nothing unless
                C is 3.
            generator: source of randomness, torch's global one if None. A generator on the CPU gives the same views
                on any device.
            size: overrides the setting.

        Raises:
            UsageError: `x` is not a batch of images, neither uint8 nor float, or has values outside [0, 1].
        """
        return normalize(self.rgb(x, generator, size), self.mean, self.std)

    def rgb(self, x: Tensor, generator: Generator | None = None, size: int | None = None) -> Tensor:
        """The same view before normalization, in [0, 1], as Lab and other color spaces need it."""
        check_range(x)
        return self.apply(x, self.sample_params(x, generator), size)

    def of_views(self, x: Tensor, generator: Generator | None = None, size: int | None = None) -> Tensor:
        """One random, normalized view of parts of another view (B, C, H, W), float in [0, 1], which is not checked."""
        return normalize(self.apply(x, self.sample_params(x, generator), size), self.mean, self.std)

    def normalize_only(self, x: Tensor) -> Tensor:
        """The images at their size, normalized, without randomness: the input of `extract_features`."""
        _check_images(x)
        check_range(x)
        return normalize(to_float(x), self.mean, self.std)

    def sample_params(self, x: Tensor, generator: Generator | None = None) -> ViewParams:
        """Random parameters of a view of images (B, C, H, W)."""
        _check_images(x)
        batch, _, height, width = x.shape

        def between(low: float, high: float) -> Tensor:
            return uniform((batch,), low, high, generator, x.device)

        def chance(probability: float) -> Tensor:
            return between(0, 1) < probability

        def factor(strength: float) -> Tensor:
            return between(max(0.0, 1 - strength), 1 + strength)

        return ViewParams(
            *random_boxes(batch, height, width, self.scale, self.ratio, generator, x.device),
            hflip=chance(self.hflip_prob),
            jitter=chance(self.jitter_prob),
            brightness=factor(self.brightness),
            contrast=factor(self.contrast),
            saturation=factor(self.saturation),
            hue=between(-self.hue, self.hue),
            gray=chance(self.gray_prob),
            blur=chance(self.blur_prob),
            sigma=between(*self.blur_sigma),
            solarize=chance(self.solarize_prob),
            order=_permutation(4, generator),
        )

    @torch.no_grad()
    def apply(self, x: Tensor, params: ViewParams, size: int | None = None) -> Tensor:
        """The view in [0, 1] of images (B, C, H, W) with the parameters of `sample_params`, deterministic."""
        size = size or self.size
        if x.device.type != "cpu":
            return self._apply_block(x, params, size)
        block = max(1, BLOCK // (x.shape[1] * max(x.shape[2] * x.shape[3], size * size)))
        blocks = [slice(start, start + block) for start in range(0, max(1, len(x)), block)]
        return torch.cat([self._apply_block(x[rows], params.rows(rows), size) for rows in blocks])

    def _apply_block(self, x: Tensor, params: ViewParams, size: int) -> Tensor:
        box = (params.top, params.left, params.height, params.width)
        view = resized_crop(to_float(x), *box, size, params.hflip, self.interpolation)
        factors = (params.brightness, params.contrast, params.saturation, params.hue)
        steps = (
            (color.brightness, self.brightness),
            (color.contrast, self.contrast),
            (color.saturation, self.saturation),
            (color.hue, self.hue),
        )

        def jitter(images: Tensor, *parameters: Tensor) -> Tensor:
            for step in params.order:
                operation, strength = steps[step]
                images = operation(images, parameters[step]) if strength else images
            return images

        def blur(images: Tensor, sigma: Tensor) -> Tensor:
            return gaussian_blur(images, sigma, self.blur_kernel)

        if self.jitter_prob:
            view = _where(params.jitter, view, jitter, *factors)
        if self.gray_prob:
            view = _where(params.gray, view, grayscale)
        if self.blur_prob:
            view = _where(params.blur, view, blur, params.sigma)
        if self.solarize_prob:
            view = _where(params.solarize, view, color.solarize)
        return view

    def _require(self, holds: bool, name: str, remedy: str) -> None:
        if not holds:
            raise UsageError(f"{name} is {getattr(self, name)!r}: it must be {remedy}")


def _where(chosen: Tensor, x: Tensor, operation: Callable[..., Tensor], *parameters: Tensor) -> Tensor:
    """`operation(x, *parameters)` where `chosen` (B,) holds, and `x` elsewhere; may write to `x`.

    On the CPU only the chosen images are computed; elsewhere all are, since counting them would wait for the device.
    """
    if x.device.type == "cpu":
        index = chosen.nonzero()[:, 0]
        return x.index_copy_(0, index, operation(x[index], *(parameter[index] for parameter in parameters)))
    return torch.where(per_image(chosen), operation(x, *parameters), x)


def _permutation(length: int, generator: Generator | None) -> list[int]:
    """A random permutation, drawn on the host: reading one from a device would wait for it.

    A generator on a device contributes its state, which the host knows.
    """
    if generator is not None and generator.device.type != "cpu":
        generator = Generator().manual_seed(zlib.crc32(generator.get_state().numpy().tobytes()))
    order: list[int] = torch.randperm(length, generator=generator).tolist()
    return order


def _is_range(value: tuple[float, float], most: float = inf) -> bool:
    return len(value) == 2 and 0 < value[0] <= value[1] <= most and value[1] < inf


def _numbers(value: float | Sequence[float]) -> Sequence[float]:
    return (value,) if isinstance(value, (int, float)) else value


def _check_images(x: Tensor) -> None:
    """Refuse what is no batch of images, and channels in the last dimension, which is small where images are not."""
    if x.ndim != 4 or x.shape[3] <= 4 < min(x.shape[1:3]):
        shape = tuple(x.shape)
        raise UsageError(f"images are (B, C, H, W), not {shape}: move channels to dimension 1, x.permute(0, 3, 1, 2)")
