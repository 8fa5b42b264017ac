"""The words of the field as types, and the one value that every part treats as "do not look here"."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["IGNORE", "MAX_CLASSES", "Box", "Cell", "ClassMap", "ImageArray", "LabelMap", "Size", "cells"]

IGNORE = 255
"""The class index of a pixel that no loss, sampler or metric looks at."""

MAX_CLASSES = 254
"""Class maps are uint8 and 255 is taken."""

ImageArray = NDArray[Any]
"""An image as read: [C, H, W], in the dtype of its file."""

ClassMap = NDArray[np.uint8]
"""Class indices [H, W], 0 to K-1, and IGNORE."""

LabelMap = NDArray[np.int32]
"""Object numbers [H, W]; 0 is background."""


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class Box(NamedTuple):
    """A rectangle of pixels: rows top to bottom - 1, columns left to right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """What indexes the last two axes of an array with this box."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Cell(NamedTuple):
    """What a box has of one cell of a grid: the cell's row and column, and the pixels that both hold.

    of_cell, of_box: what indexes these pixels in the last two axes of an array of the cell, and of the box.
    """

    row: int
    column: int
    of_cell: tuple[slice, slice]
    of_box: tuple[slice, slice]


def cells(box: Box, side: int) -> Iterator[Cell]:
    """The cells of a grid of squares of `side` pixels that a box has pixels of, row by row."""
    for row in range(box.top // side, -(-box.bottom // side)):
        for column in range(box.left // side, -(-box.right // side)):
            cell = Box(row * side, column * side, (row + 1) * side, (column + 1) * side)
            common = Box(*map(max, box[:2], cell[:2]), *map(min, box[2:], cell[2:]))
            yield Cell(row, column, _within(common, cell), _within(common, box))


def _within(box: Box, outer: Box) -> tuple[slice, slice]:
    """What indexes a box in an array of the pixels of `outer`."""
    top, left = outer.top, outer.left
    return Box(box.top - top, box.left - left, box.bottom - top, box.right - left).slices
