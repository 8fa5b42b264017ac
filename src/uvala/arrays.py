"""The words of the field as types, and the one value that every part treats as "do not look here"."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["IGNORE", "MAX_CLASSES", "Box", "ClassMap", "ImageArray", "LabelMap", "Size"]

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
