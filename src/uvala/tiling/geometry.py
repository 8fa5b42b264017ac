"""Where tiles lie. Integers only.

A tile reads a box and writes a smaller one inside it; the written boxes cover each pixel once. Two rules make
the network say the same in a tile as in the whole image:

1. A tile begins at multiples of the network's `multiple`, so that its pooling squares are those of the image.
2. What it writes is at least `halo` away from where it was cut. At the image's own border it is not cut, and
   there the network pads a tile as it would pad the image.

A third is for speed: all tiles of an image are equally large (but for what the network pads at the right and
bottom), so they fit in one batch, and a library that prepares itself for a shape does so once.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from uvala.arrays import Box, Size

__all__ = ["Tile", "hull", "inside", "moved", "overlap", "plan_tiles", "up"]


@dataclass(frozen=True)
class Tile:
    """What a tile reads and, inside that, what it writes; both in pixels of the image."""

    read: Box
    write: Box

    @property
    def kept(self) -> Box:
        """`write` in pixels of the tile."""
        top, left = self.read.top, self.read.left
        return moved(self.write, -top, -left)


def inside(box: Box, size: Size) -> Box:
    """The part of a box that is in an image of `size`, whose frame may be larger."""
    return Box(box.top, box.left, min(box.bottom, size.height), min(box.right, size.width))


def moved(box: Box, down: int, right: int) -> Box:
    """The box so many pixels further down and right."""
    return Box(box.top + down, box.left + right, box.bottom + down, box.right + right)


def hull(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds these."""
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return Box(min(tops), min(lefts), max(bottoms), max(rights))


def overlap(boxes: Iterable[Box]) -> Box:
    """The largest box that is in all of these, which have pixels in common."""
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    return Box(max(tops), max(lefts), min(bottoms), min(rights))


Span = tuple[int, int, int, int]
"""(read from, read to, write from, write to) along one axis."""


def plan_tiles(size: Size, tile: int, halo: int, multiple: int, grid: int = 1) -> list[Tile]:
    """The tiles of an image, in reading order.

    tile: pixels along each axis that a tile contributes, and halo: pixels of context on each side; both are
    rounded up to multiples of `multiple`. A tile may be longer along one axis and shorter along the other
    where less is then read in all, as in a thin image; it never reads more than (tile + 2 * halo)^2 pixels.
    grid: for a file that is kept in blocks of this side. What is written is cut at its multiples; a tile
    contributes as many blocks as fit or, where not even one does, a part of a block. The parts of a block
    then follow one another. 1: no blocks. Blocks begin at multiples of `multiple` as well.
    """
    context = up(halo, multiple)
    if grid > 1:
        block = math.lcm(multiple, grid)
        core = tile // block * block or up(tile, multiple)
        rows, columns = (_spans_on_grid(length, core, block, context, multiple) for length in size)
        return [
            _tile(row, column)
            for row_of_blocks in _by_block(rows, block)
            for column_of_blocks in _by_block(columns, block)
            for row in row_of_blocks
            for column in column_of_blocks
        ]
    side = up(tile, multiple) + 2 * context
    down, across = _longest(size, side, context, multiple)
    rows, columns = (
        _spans(size.height, down, context, multiple),
        _spans(size.width, across, context, multiple),
    )
    return [_tile(row, column) for row in rows for column in columns]


def _tile(row: Span, column: Span) -> Tile:
    return Tile(
        read=Box(row[0], column[0], row[1], column[1]), write=Box(row[2], column[2], row[3], column[3])
    )


def _longest(size: Size, side: int, context: int, multiple: int) -> Size:
    """How long tiles of at most `side` * `side` pixels may be, so that together they read the least."""
    height, width = (up(length, multiple) for length in size)
    best, least = Size(side, side), (math.inf, 0, 0)
    # twice as many rows of tiles as squares would make; where these are exact, flatter ones only read more
    for count in range(1, 2 * _count(height, side, context) + 1):
        down = _read(height, count, context, multiple)
        across = side * side // down // multiple * multiple
        if down > height or (across < width and across <= 2 * context):
            continue  # all of it would be context
        columns = _count(width, across, context)
        pixels = count * down * columns * _read(width, columns, context, multiple)
        # of equals few tiles, and flat ones: what is read of a file that is kept row by row
        if (pixels, count * columns, down) < least:
            best, least = Size(down, across), (pixels, count * columns, down)
    return best


def _count(whole: int, longest: int, context: int) -> int:
    """Into how many tiles a line is cut of which each may read so many pixels."""
    # The first and the last tile need context on one side only: n tiles of core c cover n * c + 2 * context.
    return 1 if whole <= longest else -(-(whole - 2 * context) // (longest - 2 * context))


def _read(whole: int, count: int, context: int, multiple: int) -> int:
    """What each of `count` equal tiles of a line reads."""
    if count == 1:
        return whole
    return up(-(-max(whole - 2 * context, 1) // count), multiple) + 2 * context


def _spans(length: int, longest: int, context: int, multiple: int) -> list[Span]:
    """Equal spans that each read at most `longest` pixels."""
    whole = up(length, multiple)
    count = _count(whole, longest, context)
    if count == 1:
        return [(0, length, 0, length)]
    # of the cores that do with so many tiles, the smallest makes them equal
    read = _read(whole, count, context, multiple)
    core = read - 2 * context
    edges = [0, *(context + core * i for i in range(1, count)), length]
    starts = [min(core * i, whole - read) for i in range(count)]
    return [
        (start, min(start + read, length), edge, after)
        for start, (edge, after) in zip(starts, pairwise(edges), strict=True)
    ]


def _spans_on_grid(length: int, core: int, block: int, context: int, multiple: int) -> list[Span]:
    """Spans that each write `core` pixels or, before the end of a block or of the line, what is left."""
    whole, read = up(length, multiple), core + 2 * context
    if whole <= read:
        return [(0, length, 0, length)]
    every = max(core, block)
    edges = [first + part for first in range(0, length, every) for part in range(0, every, core)]
    edges = [*(edge for edge in edges if edge < length), length]
    starts = [min(max(edge - context, 0), whole - read) for edge in edges[:-1]]
    return [
        (start, min(start + read, length), edge, after)
        for start, (edge, after) in zip(starts, pairwise(edges), strict=True)
    ]


def _by_block(spans: Sequence[Span], block: int) -> Iterator[list[Span]]:
    """The spans that write in the same block."""
    for _, some in groupby(spans, key=lambda span: span[2] // block):
        yield list(some)


def up(number: int, multiple: int) -> int:
    """The multiple at or after a number."""
    return -(-number // multiple) * multiple
