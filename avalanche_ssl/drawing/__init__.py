"""What all figures share: a palette, matrices, lines with names at their ends; matplotlib is imported when used."""

from avalanche_ssl.drawing.axis import start_axis
from avalanche_ssl.drawing.grid import Measure, draw_grid, grid_size
from avalanche_ssl.drawing.labels import End, label_ends, shortened, wrapped
from avalanche_ssl.drawing.lines import draw_band, draw_levels
from avalanche_ssl.drawing.matrix import Scale, draw_matrix, fit_numbers
from avalanche_ssl.drawing.palette import COLORS, DARK, PAPER, REFERENCE, STYLE, looks

__all__ = [
    "COLORS",
    "DARK",
    "PAPER",
    "REFERENCE",
    "STYLE",
    "End",
    "Measure",
    "Scale",
    "draw_band",
    "draw_grid",
    "draw_levels",
    "draw_matrix",
    "fit_numbers",
    "grid_size",
    "label_ends",
    "looks",
    "shortened",
    "start_axis",
    "wrapped",
]
