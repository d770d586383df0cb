"""Colors: contrast by WCAG's formula, and distances as color-blind readers see them."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from avalanche_ssl.drawing import palette
from avalanche_ssl.drawing.matrix import COLOR_MAP

VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
"""Of linear RGB, severity 1 (Machado et al. 2009, doi:10.1109/TVCG.2009.113)."""
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
)


def as_seen(color: str, vision: str) -> NDArray[np.float64]:
    """CIELAB coordinates of a color under D65."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(colors: tuple[str, ...]) -> float:
    """The smallest of any two colors in any vision."""
    pairs = [(v, a, b) for v in VISION for a, b in combinations(colors, 2)]
    return min(float(np.linalg.norm(as_seen(a, v) - as_seen(b, v))) for v, a, b in pairs)


def test_lab_of_known_colors() -> None:
    assert as_seen("white", "normal") == pytest.approx([100, 0, 0], abs=0.01)
    assert as_seen("#ff0000", "normal") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


def test_lines_are_apart_in_every_vision() -> None:
    assert distance(palette.COLORS) == pytest.approx(28.3, abs=0.1)
    assert distance(tuple(palette.DARK[color] for color in palette.COLORS)) == pytest.approx(22.2, abs=0.1)
    former = ("#3366cc", "#e07b1a", "#2c9b6c", "#b8408f", "#7a5cc4", "#8a6d3b", "#c0392b", "#4d7f94")
    assert distance(former) < 4, "the measure finds what color-blind readers confuse"


def test_lines_and_text_have_contrast_on_their_paper() -> None:
    white, dark = to_rgb("white"), to_rgb(palette.DARK[palette.PAPER])
    for color in (*palette.COLORS, palette.REFERENCE):
        assert palette.contrast(to_rgb(color), white) >= 3
        assert palette.contrast(to_rgb(palette.DARK[color]), dark) >= 3
    for color in (palette.INK, palette.SOFT):
        assert palette.contrast(to_rgb(color), white) >= 4.5
        assert palette.contrast(to_rgb(palette.DARK[color]), dark) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert palette.contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert palette.contrast(to_rgb("#777777"), (1, 1, 1)) == pytest.approx(4.48, abs=0.005)


def test_numbers_have_contrast_on_every_color_of_the_map() -> None:
    colors = colormaps[COLOR_MAP](np.linspace(0, 1, 1001))
    assert min(palette.contrast(color, to_rgb(palette.text_color(color))) for color in colors) >= 4.5
    assert [palette.text_color(colors[i]) for i in (0, -1)] == ["white", "black"]


def test_every_color_has_one_of_its_own_in_dark_mode() -> None:
    assert len(set(palette.DARK)) == len(palette.DARK) == len(set(palette.DARK.values()))
    assert not set(palette.DARK) & set(palette.DARK.values()), "a replaced color would be replaced again"


def test_many_lines_differ_in_color_or_marker() -> None:
    looks = palette.looks()
    assert len({next(looks) for _ in range(56)}) == 56
    first = [marker for _, (_, marker) in zip(range(7), palette.looks(), strict=False)]
    assert len(set(first)) == 7
