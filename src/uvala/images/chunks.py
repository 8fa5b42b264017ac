"""Images that are stored in chunks: strips or tiles of a TIFF, chunks of a Zarr array, tiles of a slide.

A box needs all chunks that it meets. They are decoded as a whole and kept for the boxes beside it, the latest
ones, up to a number of bytes. So memory does not grow with the image.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from uvala.arrays import Box, ImageArray, Size
from uvala.errors import ImageError

__all__ = ["MOST_IN_A_CHUNK", "Chunks", "box_of_chunk", "grouped"]

_KEPT = 2**28
"""Bytes of decoded chunks that are kept: those that two neighbouring rows of tiles have in common."""

_MOST_KEPT = 3 * 2**28

_BAND = 1536
"""Rows that one row of boxes takes, context included. Strips as wide as the image must be kept for as many:
if they were not, every box would decode the whole width again."""

MOST_IN_A_CHUNK = 2**30
"""Bytes of a decoded chunk; a larger one leaves no room for anything else."""

_LEAST_SIDE = 512
"""Chunks smaller than this are read several at a time: each reading costs time of its own."""


class Chunks:
    """Boxes of an image [channels, *size] that is stored in chunks of one size, those at the edges cut.

    load: the chunk in a row and a column of the grid, [channels, height, width]. It is called by any thread.
    path: for the ImageError where a chunk is too large to be decoded.
    """

    def __init__(
        self,
        path: Path,
        channels: int,
        size: Size,
        dtype: np.dtype[Any],
        chunk: Size,
        load: Callable[[int, int], ImageArray],
    ) -> None:
        self._channels, self._size, self._dtype, self._chunk = channels, size, dtype, chunk
        self._load = load
        pixel = channels * dtype.itemsize
        _require_small(path, pixel * min(chunk.height, size.height) * min(chunk.width, size.width))
        self._band = _BAND * size.width * pixel if chunk.width >= size.width else 0
        self._most = min(max(_KEPT, self._band), _MOST_KEPT)
        self._kept: OrderedDict[tuple[int, int], ImageArray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the way the image is stored."""
        if self._band <= self._most:
            return ()
        return (
            "compressed in strips as wide as the image, which are decoded again and again: tiles are faster",
        )

    def read(self, box: Box) -> ImageArray:
        """[channels, height, width] of a box within the image."""
        result = np.empty((self._channels, box.height, box.width), self._dtype)
        for row, column in self._meeting(box):
            chunk = self._get(row, column)
            place = box_of_chunk(self._chunk, self._size, row, column)
            common = Box(
                max(box.top, place.top),
                max(box.left, place.left),
                min(box.bottom, place.bottom),
                min(box.right, place.right),
            )
            result[:, *_within(common, box)] = chunk[:, *_within(common, place)]
        return result

    def _meeting(self, box: Box) -> Iterator[tuple[int, int]]:
        height, width = self._chunk
        for row in range(box.top // height, -(-box.bottom // height)):
            for column in range(box.left // width, -(-box.right // width)):
                yield row, column

    def _get(self, row: int, column: int) -> ImageArray:
        with self._lock:
            chunk = self._kept.get((row, column))
            if chunk is not None:
                self._kept.move_to_end((row, column))
                return chunk
        # two threads may decode the same chunk: waiting for each other would cost more
        chunk = self._load(row, column)
        self._require_shape(chunk, row, column)
        self._keep((row, column), chunk)
        return chunk

    def _keep(self, place: tuple[int, int], chunk: ImageArray) -> None:
        with self._lock:
            if place in self._kept:
                return
            self._kept[place] = chunk
            self._bytes += chunk.nbytes
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def _require_shape(self, chunk: ImageArray, row: int, column: int) -> None:
        box = box_of_chunk(self._chunk, self._size, row, column)
        right = (self._channels, box.height, box.width)
        if chunk.shape != right:
            raise ValueError(f"a chunk of {list(chunk.shape)} where one of {list(right)} belongs")


def grouped(chunk: Size, size: Size) -> Size:
    """Several small chunks as a larger one, as far as the image reaches."""
    height, width = (
        side * min(-(-_LEAST_SIDE // side), -(-whole // side))
        for side, whole in zip(chunk, size, strict=True)
    )
    return Size(height, width)


def box_of_chunk(chunk: Size, size: Size, row: int, column: int) -> Box:
    """Where the chunk in a row and a column of the grid lies, cut at the edges of the image."""
    top, left = row * chunk.height, column * chunk.width
    return Box(top, left, min(top + chunk.height, size.height), min(left + chunk.width, size.width))


def _within(part: Box, box: Box) -> tuple[slice, slice]:
    """What indexes an array of `box` to get `part` of it."""
    return Box(part.top - box.top, part.left - box.left, part.bottom - box.top, part.right - box.left).slices


def _require_small(path: Path, nbytes: int) -> None:
    if nbytes > MOST_IN_A_CHUNK:
        raise ImageError(
            found=f"{path}, stored in pieces of {nbytes / 1e9:.1f} GB",
            expected=f"an image in tiles, strips or chunks of at most {MOST_IN_A_CHUNK / 1e9:.1f} GB, "
            "since a piece is decoded as a whole",
            fix="save it as a tiled TIFF or as a Zarr array with chunks of 512x512 pixels",
        )
