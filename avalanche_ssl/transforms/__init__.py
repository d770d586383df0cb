"""Random views as batched tensor operations on the device."""

from avalanche_ssl.transforms.augmentation import RandomView, ViewParams
from avalanche_ssl.transforms.color import grayscale, lab_views, normalize, sobel, solarize, to_float
from avalanche_ssl.transforms.geometry import gaussian_blur, resized_crop
from avalanche_ssl.transforms.patches import drop_colors, grid, jigsaw, quarter_turns, random_turns
from avalanche_ssl.transforms.raw_images import check_range, range_fault

__all__ = [
    "RandomView",
    "ViewParams",
    "check_range",
    "drop_colors",
    "gaussian_blur",
    "grayscale",
    "grid",
    "jigsaw",
    "lab_views",
    "normalize",
    "quarter_turns",
    "random_turns",
    "range_fault",
    "resized_crop",
    "sobel",
    "solarize",
    "to_float",
]
