"""Images that are stored in chunks: strips or tiles of a TIFF, chunks of a Zarr array, tiles of a slide.

A box needs the chunks of all channels that it meets. Each is decoded as a whole and kept for the boxes beside
it, the latest ones, up to a number of bytes. So memory grows neither with the image nor with its channels.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from uvala.arrays import Box, ImageArray, Size
from uvala.machine import shares

__all__ = ["Chunks", "Grid", "Piece", "Raw", "Reading", "in_chunks"]

_BAND = 1536
"""Rows that a row of boxes usually takes, context included; what is noted goes by that."""

_MOST_IN_A_PIECE = 2**30
"""Bytes of a decoded chunk; a larger one leaves no room for anything else."""

# Chunks smaller than this are read several at a time: each reading costs time of its own.
_LEAST_SIDE = 512
_LEAST_BYTES = 2**24


class Piece(NamedTuple):
    """What is decoded at once: the channels `first` to `last` - 1 of a box."""

    first: int
    last: int
    box: Box


@dataclass(frozen=True)
class Grid:
    """An image [channels, *size] in chunks [depth, *chunk], cut at the edges."""

    channels: int
    size: Size
    dtype: np.dtype[Any]
    chunk: Size
    depth: int

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, decoded."""
        return self.channels * self.size.height * self.size.width * self.dtype.itemsize

    @property
    def piece_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        height, width = (min(side, whole) for side, whole in zip(self.chunk, self.size, strict=True))
        return min(self.depth, self.channels) * height * width * self.dtype.itemsize

    def shared_bytes(self, rows: int) -> int:
        """Bytes of the chunks that a box of so many rows has in common with the boxes beside it, about."""
        height, width = (min(side, whole) for side, whole in zip(self.chunk, self.size, strict=True))
        if width == self.size.width:
            # strips must be kept for all rows of a box: the next one would decode its whole width again
            height = min((-(-rows // height) + 1) * height, self.size.height)
        return self.channels * self.dtype.itemsize * height * width

    def grouped(self) -> "Grid":
        """Several small chunks as a larger one, as far as the image reaches and that one stays small."""
        grid = self
        for axis, name in enumerate(Size._fields):
            side, whole = grid.chunk[axis], grid.size[axis]
            together = min(-(-_LEAST_SIDE // side), -(-whole // side), grid._fit)
            grid = replace(grid, chunk=grid.chunk._replace(**{name: side * together}))
        return replace(grid, depth=grid.depth * grid._fit)

    @property
    def _fit(self) -> int:
        """How many chunks are still a small one."""
        return max(1, _LEAST_BYTES // self.piece_bytes)

    def pieces(self, box: Box) -> Iterator[Piece]:
        """The chunks that a box meets."""
        height, width = self.chunk
        for top in range(box.top // height * height, box.bottom, height):
            for left in range(box.left // width * width, box.right, width):
                bottom, right = min(top + height, self.size.height), min(left + width, self.size.width)
                for first in range(0, self.channels, self.depth):
                    last = min(first + self.depth, self.channels)
                    yield Piece(first, last, Box(top, left, bottom, right))


Raw = Callable[[Box], ImageArray]
"""Gives the stored samples of a box, [channels, height, width]."""

Load = Callable[[Piece], ImageArray]
"""Decodes a piece: [last - first, height, width]. It is called by any thread."""


class Reading(NamedTuple):
    """What reads boxes of an image, and what to know of it.

    read: None where the image can only be decoded at once. let_go: has it forget what it keeps.
    """

    read: Raw | None
    notes: tuple[str, ...] = ()
    let_go: Callable[[], None] = lambda: None


class Chunks:
    """Boxes of an image that is stored in chunks.

    memory: bytes that predicting the image may take in all, of which some keep chunks; None: the usual ones.
    """

    def __init__(self, grid: Grid, load: Load, memory: int | None = None) -> None:
        self._grid, self._load = grid, load
        self._shares = shares(memory)
        self._least = self._shares.chunks
        self._rows = 0  # of the highest box so far
        self._kept: OrderedDict[Piece, ImageArray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the way the image is stored."""
        grid, share = self._grid, self._shares
        kept = grid.shared_bytes(_BAND)
        if kept <= share.chunks:
            return ()
        if grid.chunk.width >= grid.size.width:
            stored, better = "compressed in strips as wide as the image", "tiles"
        else:
            stored, better = f"stored in chunks of {grid.chunk} pixels", "smaller ones"
        again = "are decoded again and again and " if kept > share.strips else ""
        more = (min(kept, share.strips) - share.chunks) / 1e6
        return (f"{stored}, which {again}take about {more:,.0f} MB beyond --memory: {better} are better",)

    def read(self, box: Box) -> ImageArray:
        """[channels, height, width] of a box within the image."""
        grid = self._grid
        result = np.empty((grid.channels, box.height, box.width), grid.dtype)
        with self._lock:
            self._rows = max(self._rows, box.height)
            # those first that are kept: to decode the others may push them out
            pieces = sorted(grid.pieces(box), key=lambda piece: piece not in self._kept)
        for piece in pieces:
            place = piece.box
            common = Box(*map(max, box[:2], place[:2]), *map(min, box[2:], place[2:]))
            values = self._get(piece)[:, *_within(common, place)]
            result[piece.first : piece.last, *_within(common, box)] = values
        return result

    def let_go(self) -> None:
        """Forget what is kept, and keep less from now on: the image is predicted, and others are to be."""
        with self._lock:
            self._least, self._rows = self._shares.shown, 0
            self._kept.clear()
            self._bytes = 0

    @property
    def _most(self) -> int:
        """Bytes that are kept."""
        return min(max(self._least, self._grid.shared_bytes(self._rows)), self._shares.strips)

    def _get(self, piece: Piece) -> ImageArray:
        with self._lock:
            chunk = self._kept.get(piece)
            if chunk is not None:
                self._kept.move_to_end(piece)
                return chunk
        # two threads may decode the same chunk: waiting for each other would cost more
        chunk = self._load(piece)
        right = (piece.last - piece.first, piece.box.height, piece.box.width)
        if chunk.shape != right:
            raise ValueError(f"a chunk of {list(chunk.shape)} where one of {list(right)} belongs")
        self._keep(piece, chunk)
        return chunk

    def _keep(self, piece: Piece, chunk: ImageArray) -> None:
        with self._lock:
            if piece in self._kept:
                return
            self._kept[piece] = chunk
            self._bytes += chunk.nbytes
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes


def in_chunks(grid: Grid, load: Load, memory: int | None) -> Reading:
    """What reads boxes of an image; of one in huge chunks, nothing. memory: as of `Chunks`."""
    if grid.piece_bytes > _MOST_IN_A_PIECE:
        return Reading(None)
    chunks = Chunks(grid, load, memory)
    return Reading(chunks.read, chunks.notes, chunks.let_go)


def _within(part: Box, box: Box) -> tuple[slice, slice]:
    """What indexes an array of `box` to get `part` of it."""
    return Box(part.top - box.top, part.left - box.left, part.bottom - box.top, part.right - box.left).slices
