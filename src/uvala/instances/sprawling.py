"""Objects that sprawl over so many pixels that they are not cut out: described square by square.

All is what the whole object would give: sums of whole numbers are exact, so that lengths and angles differ in
their last digits at most; the outline is that of the pixels in each square, in polygons that share edges.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from uvala.arrays import Box, ImageArray, Size
from uvala.instances.blocks import blocks_of
from uvala.instances.decode import FloatMap
from uvala.instances.measure import Columns, measure_objects
from uvala.instances.outlines import Polygon, polygons

__all__ = ["SPRAWLING", "Sprawling", "measure_sprawling"]

SPRAWLING = 2**23
"""Pixels of the box around an object that is cut out, at most: each takes some fifty bytes then."""

_SIDE = 1024  # of a square, pixels
_IN_A_STRIP = 2**22  # pixels
_FRAME = 2  # pixels around a pixel that decide how much of the perimeter it is

# How long the perimeter is at a pixel of an object's outermost line, by what of that line is around it:
# itself counts 1, each neighbour at a side 2, at a corner 10. Source: Benkrid, Crookes and Benkrid (2000),
# "Design and FPGA implementation of a perimeter estimator", with the numbers of scikit-image's `perimeter`.
_AROUND = np.array([[10, 2, 10], [2, 1, 2], [10, 2, 10]], np.uint8)
_LENGTHS = np.zeros(50)
_LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
_LENGTHS[[21, 33]] = math.sqrt(2)
_LENGTHS[[13, 23]] = (1 + math.sqrt(2)) / 2


@dataclass(frozen=True)
class Sprawling:
    """An object: the box around it, and `pixels`, which of those of a part of the box are its own, bool."""

    box: Box
    pixels: Callable[[Box], NDArray[np.bool_]]

    def squares(self) -> Iterator[Box]:
        """Parts of the box that cover it, row by row."""
        top, left = self.box.top, self.box.left
        for square in blocks_of(Size(self.box.height, self.box.width), _SIDE):
            yield Box(square.top + top, square.left + left, square.bottom + top, square.right + left)

    def outline(self) -> Iterator[Polygon]:
        """Polygons that together cover its pixels, those of a square after those of another."""
        for square in self.squares():
            own = self.pixels(square).astype(np.int32)
            if own.any():
                yield from polygons(own, corner=(square.top, square.left))[1]

    def strips(self) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
        """Parts of the box as high as it is, from left to right, and which of their pixels are its own."""
        width = max(1, _IN_A_STRIP // self.box.height)
        for left in range(self.box.left, self.box.right, width):
            strip = Box(self.box.top, left, self.box.bottom, min(left + width, self.box.right))
            yield strip, self.pixels(strip)

    def framed(self, square: Box) -> NDArray[np.bool_]:
        """Its pixels in a square and in a frame around that, which may lie outside of the image."""
        box = self.box
        framed = np.zeros((square.height + 2 * _FRAME, square.width + 2 * _FRAME), bool)
        top, left = square.top - _FRAME, square.left - _FRAME
        part = Box(
            max(top, box.top),
            max(left, box.left),
            min(square.bottom + _FRAME, box.bottom),
            min(square.right + _FRAME, box.right),
        )
        place = Box(part.top - top, part.left - left, part.bottom - top, part.right - left)
        framed[place.slices] = self.pixels(part)
        return framed


def measure_sprawling(
    found: Sprawling,
    image: Callable[[Box], ImageArray] | None,
    foreground: Callable[[Box], FloatMap] | None,
    *,
    spacing: tuple[float, float],
    unit: str,
    whole: Size,
) -> Columns:
    """The columns of `measure_objects`, in their order, of one object; all arguments as there.

    image, foreground: give the pixels of a box, [C, height, width] and [height, width].
    """
    shape, values, score = _Shape(found.box), _Values(), _Values()
    for square in found.squares():
        framed = found.framed(square)
        own = framed[_FRAME:-_FRAME, _FRAME:-_FRAME]
        if not own.any():
            continue
        shape.add(square, framed)
        if image is not None:
            values.add(image(square)[:, own])
        if foreground is not None:
            score.add(foreground(square)[None, own])
    columns = shape.columns(spacing, unit, whole) | values.columns(shape.pixels)
    if foreground is not None:
        columns["score"] = score.totals[0] / shape.pixels
    first = Box(0, 0, 1, 1)
    none = measure_objects(
        np.zeros((1, 1), np.int32),
        None if image is None else image(first),
        spacing=spacing,
        unit=unit,
        foreground=None if foreground is None else foreground(first),
    )
    return {name: np.array([columns[name]], empty.dtype) for name, empty in none.items()}


@dataclass
class _Values:
    """Sum, least and largest of the values [channels, n] seen so far, each [channels]."""

    totals: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    least: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    most: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, values: NDArray[np.generic]) -> None:
        """More values of the same channels."""
        seen = values.sum(axis=1, dtype=np.float64), values.min(axis=1), values.max(axis=1)
        if not len(self.totals):
            self.totals, self.least, self.most = seen
            return
        self.totals = self.totals + seen[0]
        self.least, self.most = np.minimum(self.least, seen[1]), np.maximum(self.most, seen[2])

    def columns(self, count: int) -> dict[str, float]:
        """Mean, least, largest value and sum of each channel."""
        columns = {}
        for index, total in enumerate(self.totals):
            suffix = "" if len(self.totals) == 1 else f"_{index}"
            columns[f"intensity_mean{suffix}"] = total / count
            columns[f"intensity_min{suffix}"] = self.least[index]
            columns[f"intensity_max{suffix}"] = self.most[index]
            columns[f"intensity_sum{suffix}"] = total
        return columns


class _Shape:
    """Where the pixels seen so far lie; rows and columns are counted from the corner of the object's box."""

    def __init__(self, box: Box) -> None:
        self.box = box
        # sums over the pixels: 1, row, column, row * row, row * column, column * column; whole numbers, exact
        self.moments = [0] * 6
        self.first = np.full(box.height, box.width)  # the outermost columns of each row
        self.last = np.full(box.height, -1)
        self.around = np.zeros(len(_LENGTHS), np.int64)  # pixels by what is around them

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.moments[0]

    def add(self, square: Box, framed: NDArray[np.bool_]) -> None:
        """Take the pixels of a square, bool with a frame."""
        own = framed[_FRAME:-_FRAME, _FRAME:-_FRAME]
        rows = np.arange(square.top, square.bottom) - self.box.top
        columns = np.arange(square.left, square.right) - self.box.left
        in_row, in_column = own.sum(axis=1), own.sum(axis=0)
        across = np.where(own, columns, 0).sum(axis=1)
        sums = (
            in_row.sum(),
            rows @ in_row,
            columns @ in_column,
            rows * rows @ in_row,
            rows @ across,
            columns * columns @ in_column,
        )
        self.moments = [before + int(more) for before, more in zip(self.moments, sums, strict=True)]
        some = in_row > 0
        place = rows[some]
        self.first[place] = np.minimum(self.first[place], columns[own[some].argmax(axis=1)])
        self.last[place] = np.maximum(self.last[place], columns[::-1][own[some, ::-1].argmax(axis=1)])
        self.around += _around(framed)

    def columns(self, spacing: tuple[float, float], unit: str, whole: Size) -> dict[str, float]:
        """All that is known of them."""
        box, count = self.box, self.pixels
        row, column = ((self.moments[axis] + count * box[axis - 1]) / count for axis in (1, 2))
        area = count * (spacing[0] * spacing[1])
        at_edge = box.top == 0 or box.left == 0 or box.bottom == whole.height or box.right == whole.width
        return {
            "label": 0,
            "area_px": count,
            "centroid_row_px": row,
            "centroid_column_px": column,
            f"area_{unit}2": area,
            f"centroid_row_{unit}": row * spacing[0],
            f"centroid_column_{unit}": column * spacing[1],
            **dict(zip(("top", "left", "bottom", "right"), box, strict=True)),
            f"equivalent_diameter_{unit}": math.sqrt(4 * area / math.pi),
            **_ellipse(self.moments, spacing, unit),
            f"perimeter_{unit}": float(self.around @ _LENGTHS) * spacing[0],
            "solidity": count / _hull_pixels(self.first, self.last),
            "touches_edge": at_edge,
        }


def _around(framed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many pixels have which number of `_LENGTHS`, frame left out: int64 [50]."""
    line = framed & ~ndimage.binary_erosion(framed)
    numbers = ndimage.convolve(line.astype(np.uint8), _AROUND, mode="constant")
    inside = numbers[_FRAME:-_FRAME, _FRAME:-_FRAME]
    return np.bincount(inside.ravel(), minlength=len(_LENGTHS))


def _ellipse(moments: list[int], spacing: tuple[float, float], unit: str) -> dict[str, float]:
    """The ellipse with the same second moments, as of `measure_objects`."""
    count, row, column, row_row, row_column, column_column = moments
    # whole numbers until they are divided: nothing cancels
    down = (count * row_row - row * row) / count**2 * spacing[0] ** 2
    across = (count * column_column - column * column) / count**2 * spacing[1] ** 2
    both = (count * row_column - row * column) / count**2 * spacing[0] * spacing[1]
    middle, half = (down + across) / 2, math.hypot((down - across) / 2, both)
    major, minor = middle + half, max(middle - half, 0.0)
    if down == across:
        angle = math.pi / 4 if both > 0 else -math.pi / 4
    else:
        angle = math.atan2(2 * both, down - across) / 2
    return {
        f"major_axis_{unit}": 4 * math.sqrt(major),
        f"minor_axis_{unit}": 4 * math.sqrt(minor),
        "eccentricity": math.sqrt(1 - minor / major) if major else 0.0,
        "orientation_deg": math.degrees(angle),
    }


def _hull_pixels(first: NDArray[np.int64], last: NDArray[np.int64]) -> int:
    """How many pixels have their centre in the convex hull of an object, its edge included.

    first, last: the outermost columns of each row, int [rows]; last -1 where there is none. A pixel reaches
    half a pixel from its centre along both axes, as in scikit-image's `convex_hull_image`.
    """
    rows = np.flatnonzero(last >= 0)
    centres = np.concatenate([np.stack([rows, side[rows]], axis=1) for side in (first, last)])
    corners = np.concatenate([centres + step for step in ((0, -0.5), (0, 0.5), (-0.5, 0), (0.5, 0))])
    every = np.arange(len(first))
    left, right = np.full(len(first), -np.inf), np.full(len(first), np.inf)
    for down, across, offset in ConvexHull(corners).equations:  # inside: down * y + across * x + offset <= 0
        if across:
            side = -(down * every + offset) / across
            left, right = (np.maximum(left, side), right) if across < 0 else (left, np.minimum(right, side))
    # corners are whole or half numbers, so that a centre beside the edge is further from it than rounding
    return int((np.floor(right + 1e-7) - np.ceil(left - 1e-7) + 1).clip(0).sum())
