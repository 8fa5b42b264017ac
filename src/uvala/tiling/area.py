"""Which part of an image is predicted, whatever tiles it came from."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, Size

__all__ = ["Area"]


class Area:
    """A part of an image of `size`, in squares of `cell` pixels: each is in it as a whole or not at all.

    The last squares of a row or column end with the image.
    """

    def __init__(self, size: Size, cell: int) -> None:
        self.size, self.cell = size, cell
        self._in = np.zeros([-(-length // cell) for length in size], bool)

    @property
    def complete(self) -> bool:
        """Whether this is the whole image."""
        return bool(self._in.all())

    def add(self, box: Box) -> None:
        """Take in the squares that lie in the box entirely."""
        self._in[self._squares(box, whole=True)] = True

    def has(self, box: Box) -> bool:
        """Whether every square that the box touches is in it."""
        return bool(self._in[self._squares(box, whole=False)].all())

    def missing(self, box: Box) -> Iterator[Box]:
        """What of a box is not in it, in reading order. The box begins and ends between squares."""
        rows, columns = self._squares(box, whole=True)
        lacks = ~self._in[rows, columns]
        for _, alike in groupby(range(len(lacks)), key=lambda row: lacks[row].tobytes()):
            same = list(alike)
            top, bottom = rows.start + same[0], rows.start + same[-1] + 1
            for first, after in _runs(lacks[same[0]]):
                yield self._pixels(top, columns.start + first, bottom, columns.start + after)

    def _squares(self, box: Box, *, whole: bool) -> tuple[slice, slice]:
        """The squares that lie in the box entirely, or those that it touches."""
        return (
            self._along(box.top, box.bottom, self.size.height, whole=whole),
            self._along(box.left, box.right, self.size.width, whole=whole),
        )

    def _along(self, first: int, after: int, length: int, *, whole: bool) -> slice:
        if not whole:
            return slice(first // self.cell, -(-after // self.cell))
        end = -(-length // self.cell) if after >= length else after // self.cell
        return slice(-(-first // self.cell), end)

    def _pixels(self, top: int, left: int, bottom: int, right: int) -> Box:
        height, width = self.size
        cell = self.cell
        return Box(top * cell, left * cell, min(bottom * cell, height), min(right * cell, width))


def _runs(row: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and after-last place of each run of True."""
    edges = np.flatnonzero(np.diff(row.astype(np.int8), prepend=0, append=0))
    for first, after in edges.reshape(-1, 2):
        yield int(first), int(after)
