"""What does a random view of an image look like?

`RandomView` holds the settings. A view is drawn (`sample_params`: every image its own parameters) and then made
(`apply`: batched tensor operations of `geometry` and `color`), on any device, without a loop over images.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, get_args

import torch
from torch import Generator, Tensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.rng import uniform
from avalanche_ssl.transforms import color
from avalanche_ssl.transforms.color import grayscale, normalize, per_image, to_float
from avalanche_ssl.transforms.geometry import Interpolation, gaussian_blur, random_boxes, resized_crop

BLOCK = 2**19
"""On the CPU, views are made in blocks of about this many values (2 MiB); their number changes no result. The memory
of larger ones malloc returns to the system, unless told otherwise; of smaller ones several threads gain little."""


class ViewParams(NamedTuple):
    """Random parameters of one view: (B,) tensors, one value an image, and one order of the jitter steps."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor
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
        """The parameters of some images."""
        values = self._asdict().items()
        return self._replace(**{name: value[rows] for name, value in values if name != "order"})


@dataclass(frozen=True)
class RandomView:
    """Settings of a random view; the defaults are SimCLR's and MoCo v2's at 32x32, without blur.

    The steps: crop, resize and mirror; colour jitter; gray; blur; solarise; normalise. The four operations of
    the jitter come in a random order, one a call. `dataclasses.replace(augment, blur_prob=0.5)` gives a variant.

    Args:
        size: height and width of a view in pixels.
        scale, ratio: share of the image's area, and width/height, of the crop.
        interpolation: "bilinear" or "bicubic", antialiased.
        hflip_prob: probability to mirror left to right.
        brightness, contrast, saturation: a strength s gives factors uniform in [max(0, 1 - s), 1 + s].
        hue: shifts are uniform in [-hue, hue] turns, hue at most 0.5.
        jitter_prob: probability of these four together.
        gray_prob, blur_prob, solarize_prob: probabilities.
        blur_kernel: odd number of taps.
        blur_sigma: range of the standard deviation in pixels.
        mean, std: normalisation, one number or one a channel. The defaults suit natural images: a stream's
            own statistics are unknown when it begins.

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
    mean: float | tuple[float, float, float] = 0.5
    std: float | tuple[float, float, float] = 0.25

    def __post_init__(self) -> None:
        stds = (self.std,) if isinstance(self.std, (int, float)) else self.std
        self._require(self.size >= 1, "size", "at least 1 pixel")
        names = get_args(Interpolation)
        self._require(_is_range(self.scale, most=1), "scale", "(low, high), 0 < low <= high <= 1")
        self._require(_is_range(self.ratio), "ratio", "(low, high), 0 < low <= high")
        self._require(_is_range(self.blur_sigma), "blur_sigma", "(low, high), 0 < low <= high")
        self._require(self.interpolation in names, "interpolation", " or ".join(names))
        for name in ("hflip_prob", "jitter_prob", "gray_prob", "blur_prob", "solarize_prob"):
            self._require(0 <= getattr(self, name) <= 1, name, "a probability from 0 to 1")
        for name in ("brightness", "contrast", "saturation"):
            self._require(0 <= getattr(self, name) < inf, name, "a strength of 0 or more")
        self._require(0 <= self.hue <= 0.5, "hue", "from 0 to 0.5 turns")
        self._require(self.blur_kernel > 0 and self.blur_kernel % 2 == 1, "blur_kernel", "odd and positive")
        fits = not self.blur_prob or self.blur_kernel < 2 * self.size
        self._require(fits, "blur_kernel", f"below {2 * self.size}, twice the size of a view")
        self._require(all(std > 0 for std in stds), "std", "above 0")

    def __call__(self, x: Tensor, generator: Generator | None = None, size: int | None = None) -> Tensor:
        """One random, normalised view (B, C, size, size) of raw images.

        Args:
            x: images (B, C, H, W), uint8 or float in [0, 1]; with C = 1 saturation, hue and gray do nothing.
            generator: source of the draws, torch's global one if None. One on the CPU gives the same views on
                any device.
            size: overrides the setting.

        Raises:
            ValueError: not images, or neither uint8 nor float.
        """
        return normalize(self.rgb(x, generator, size), self.mean, self.std)

    def rgb(self, x: Tensor, generator: Generator | None = None, size: int | None = None) -> Tensor:
        """The same view before normalisation, in [0, 1]: what Lab and other colour spaces start from."""
        return self.apply(x, self.sample_params(x, generator), size)

    def normalize_only(self, x: Tensor) -> Tensor:
        """The images as they are, normalised: what `extract_features` reads. Nothing is random, the size stays."""
        _check_images(x)
        return normalize(to_float(x), self.mean, self.std)

    def sample_params(self, x: Tensor, generator: Generator | None = None) -> ViewParams:
        """Random parameters for a view of images (B, C, H, W)."""
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
            flip=chance(self.hflip_prob),
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
    def apply(self, x: Tensor, draw: ViewParams, size: int | None = None) -> Tensor:
        """The view in [0, 1] of images (B, C, H, W) with the parameters of `sample_params`: no randomness is left."""
        size = size or self.size
        if x.device.type != "cpu":
            return self._render(x, draw, size)
        block = max(1, BLOCK // (x.shape[1] * max(x.shape[2] * x.shape[3], size * size)))
        blocks = [slice(start, start + block) for start in range(0, max(1, len(x)), block)]
        return torch.cat([self._render(x[rows], draw.rows(rows), size) for rows in blocks])

    def _render(self, x: Tensor, draw: ViewParams, size: int) -> Tensor:
        box = (draw.top, draw.left, draw.height, draw.width)
        view = resized_crop(to_float(x), *box, size, draw.flip, self.interpolation)
        factors = (draw.brightness, draw.contrast, draw.saturation, draw.hue)
        steps = (
            (color.brightness, self.brightness),
            (color.contrast, self.contrast),
            (color.saturation, self.saturation),
            (color.hue, self.hue),
        )

        def jitter(images: Tensor, *parameters: Tensor) -> Tensor:
            for step in draw.order:
                operation, strength = steps[step]
                images = operation(images, parameters[step]) if strength else images
            return images

        def blur(images: Tensor, sigma: Tensor) -> Tensor:
            return gaussian_blur(images, sigma, self.blur_kernel)

        if self.jitter_prob:
            view = _where(draw.jitter, view, jitter, *factors)
        if self.gray_prob:
            view = _where(draw.gray, view, grayscale)
        if self.blur_prob:
            view = _where(draw.blur, view, blur, draw.sigma)
        if self.solarize_prob:
            view = _where(draw.solarize, view, color.solarize)
        return view

    def _require(self, holds: bool, name: str, remedy: str) -> None:
        if not holds:
            raise UsageError(f"{name} is {getattr(self, name)!r}: it must be {remedy}")


def _where(chosen: Tensor, x: Tensor, operation: Callable[..., Tensor], *parameters: Tensor) -> Tensor:
    """`operation(x, *parameters)` for images where `chosen` (B,) holds, the others stay; may write to `x`.

    On the CPU only the chosen are computed. Elsewhere all images are: to count would wait for the device.
    """
    if x.device.type == "cpu":
        index = chosen.nonzero()[:, 0]
        return x.index_copy_(0, index, operation(x[index], *(parameter[index] for parameter in parameters)))
    return torch.where(per_image(chosen), operation(x, *parameters), x)


def _permutation(length: int, generator: Generator | None) -> list[int]:
    """A random order of `length` things, decided on the host: reading a draw from a device would wait for it.

    For a generator on a device its state decides, which the host knows.
    """
    if generator is not None and generator.device.type != "cpu":
        generator = Generator().manual_seed(zlib.crc32(generator.get_state().numpy().tobytes()))
    order: list[int] = torch.randperm(length, generator=generator).tolist()
    return order


def _is_range(value: tuple[float, float], most: float = inf) -> bool:
    return len(value) == 2 and 0 < value[0] <= value[1] <= most


def _check_images(x: Tensor) -> None:
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        shape = tuple(x.shape)
        raise ValueError(f"images are (B, 3, H, W) or (B, 1, H, W), not {shape}: move channels to dimension 1")
