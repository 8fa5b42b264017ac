"""Where the outline of a mask runs, and how far it is from each of its elements to another outline.

An outline runs between pixels. Its elements sit at the corners of pixels, wherever the four pixels around a
corner are not all alike, and each has the length that the outline covers there; beyond the border of the
image is background. Source: Nikolov et al. (2018), arXiv:1809.04430.
"""

from math import hypot
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

__all__ = ["Outline", "Spacing", "distances_to", "outline_of"]

Spacing = tuple[float, float]
"""Height and width of a pixel, in any unit."""

Indices = NDArray[np.intp]
Numbers = NDArray[np.float64]

WINDOW = 2
"""Corners to each side to look at before any search: most of a fair prediction's outline is settled there."""

ASKED, GIVEN = 32, 2
"""Time of a tree per element asked for and given, in pixels of a distance transform: 0.5 to 9 (the farther,
the slower), 0.2 and 0.1 microseconds as measured."""


class Outline(NamedTuple):
    """The N elements of an outline in a grid of (H+1) x (W+1) corners, row by row."""

    rows: Indices
    """int [N], 0 to H; corner (0, 0) is the upper left one of pixel (0, 0)."""
    columns: Indices
    """int [N], 0 to W."""
    lengths: Numbers
    """float64 [N], in the unit of the spacing."""
    shape: tuple[int, int]
    """(H+1, W+1)."""


def outline_of(
    mask: NDArray[np.bool_], spacing: Spacing, unknown: NDArray[np.bool_] | None = None
) -> Outline:
    """The outline of a mask.

    mask: bool [H, W]. unknown: bool [H, W], True at pixels of which nobody says whether they are in the mask:
    no element is at their corners.
    """
    around = _four_pixels(mask)
    if unknown is not None:
        around[_four_pixels(unknown) > 0] = 0
    at = np.flatnonzero((around - np.uint8(1)) < 14)  # 0 wraps to 255: neither all out nor all in
    rows, columns = np.divmod(at, around.shape[1])
    height, width = around.shape
    return Outline(rows, columns, _lengths(spacing)[around.ravel()[at]], (height, width))


def distances_to(goal: Outline, start: Outline, spacing: Spacing) -> Numbers:
    """Distance from each of the N elements of start to the nearest one of goal: float64 [N], exact.

    Both on the same grid. Infinity if goal has no element.
    """
    distances = np.full(start.rows.size, np.inf)
    if goal.rows.size == 0:
        return distances
    rest = _look_around(goal, start, spacing, distances)
    if rest.size:
        far = Outline(start.rows[rest], start.columns[rest], start.lengths[rest], start.shape)
        by_tree = ASKED * rest.size + GIVEN * goal.rows.size < start.shape[0] * start.shape[1]
        distances[rest] = (_by_tree if by_tree else _by_transform)(goal, far, spacing)
    return distances


def _four_pixels(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Which pixels around each corner are set, uint8 [H+1, W+1]: 1 upper left, 2 upper right, 4, 8 below."""
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    padded[1:-1, 1:-1] = mask
    pairs = padded[:, :-1] | padded[:, 1:] << np.uint8(1)
    corners: NDArray[np.uint8] = pairs[:-1] | pairs[1:] << np.uint8(2)
    return corners


def _lengths(spacing: Spacing) -> Numbers:
    """Length of outline for each value of _four_pixels, float64 [16].

    One pixel that differs from the other three: the outline cuts the corner, half of a pixel's diagonal. Two
    that face each other diagonally: twice that. Two side by side: it runs straight through.
    """
    height, width = spacing
    cut = hypot(height, width) / 2
    return np.array(
        [0, cut, cut, width, cut, height, 2 * cut, cut, cut, 2 * cut, height, cut, width, cut, cut, 0]
    )


def _look_around(goal: Outline, start: Outline, spacing: Spacing, distances: Numbers) -> Indices:
    """Write the distances that a look at the neighbouring corners settles; the indices of the others."""
    width = goal.shape[1] + 2 * WINDOW
    occupied = np.zeros((goal.shape[0] + 2 * WINDOW) * width, np.bool_)
    occupied[(goal.rows + WINDOW) * width + goal.columns + WINDOW] = True
    rest = np.arange(start.rows.size)
    at = (start.rows + WINDOW) * width + start.columns + WINDOW
    down, across = np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1].reshape(2, -1)
    ways = _ways(down, across, spacing)
    for step in np.argsort(ways):
        if ways[step] >= (WINDOW + 1) * min(spacing):
            break  # something outside of the window may be nearer
        found = occupied[at + (down[step] * width + across[step])]
        distances[rest[found]] = ways[step]
        rest, at = rest[~found], at[~found]
    return rest


def _by_tree(goal: Outline, start: Outline, spacing: Spacing) -> Numbers:
    places = [np.stack((o.rows * spacing[0], o.columns * spacing[1]), axis=1) for o in (goal, start)]
    _, nearest = cKDTree(places[0], balanced_tree=False).query(places[1])
    return _ways(goal.rows[nearest] - start.rows, goal.columns[nearest] - start.columns, spacing)


def _by_transform(goal: Outline, start: Outline, spacing: Spacing) -> Numbers:
    elsewhere = np.ones(goal.shape, np.bool_)
    elsewhere[goal.rows, goal.columns] = False
    return ndimage.distance_transform_edt(elsewhere, sampling=spacing)[start.rows, start.columns]


def _ways(down: Indices, across: Indices, spacing: Spacing) -> Numbers:
    """How far so many rows and columns are; from whole pixels, so that equal ways are equal numbers."""
    rows, columns = down * spacing[0], across * spacing[1]
    return np.sqrt(rows * rows + columns * columns)
