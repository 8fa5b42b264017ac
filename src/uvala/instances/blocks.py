"""What one block of a large image knows of the objects in it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, LabelMap, Size

__all__ = ["Found", "blocks_of", "objects_in"]


class Found(NamedTuple):
    """The objects that have pixels in a block, ascending, and what these pixels are.

    numbers: int32 [n]. sizes: how many, int64 [n]. first: the place of the first one in reading order, int64
    [n]. boxes: the smallest box around them, int64 [n, 4]: top, left, bottom, right.
    """

    numbers: NDArray[np.int32]
    sizes: NDArray[np.int64]
    first: NDArray[np.int64]
    boxes: NDArray[np.int64]


def blocks_of(size: Size, side: int) -> list[Box]:
    """Squares of `side` pixels, cut at the right and the bottom, that cover an image row by row."""
    return [
        Box(top, left, min(top + side, size.height), min(left + side, size.width))
        for top in range(0, size.height, side)
        for left in range(0, size.width, side)
    ]


def objects_in(block: LabelMap) -> Found:
    """The objects in a block, int32 [h, w], 0 background; large numbers cost no more than small ones."""
    width = block.shape[1]
    flat = block.ravel()
    begins = np.ones(flat.size, bool)
    begins[1:] = flat[1:] != flat[:-1]
    begins[::width] = True
    runs = np.flatnonzero(begins)  # of pixels of one number in one row
    lengths = np.diff(runs, append=flat.size)
    inside = flat[runs] > 0
    runs, lengths = runs[inside], lengths[inside]
    numbers, first, index = np.unique(flat[runs], return_index=True, return_inverse=True)
    tops, lefts = np.divmod(runs, width)
    ends: list[NDArray[Any]] = [
        _least(tops, index, len(numbers)),
        _least(lefts, index, len(numbers)),
        -_least(-tops - 1, index, len(numbers)),
        -_least(-lefts - lengths, index, len(numbers)),
    ]
    sizes = np.bincount(index, lengths, len(numbers)).astype(np.int64)
    return Found(numbers, sizes, runs[first].astype(np.int64), np.stack(ends, axis=1))


def _least(values: NDArray[Any], index: NDArray[Any], count: int) -> NDArray[np.int64]:
    """The least of the values that have an index 0..count-1 in common, int64 [count]."""
    least = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(least, index, values)
    return least
