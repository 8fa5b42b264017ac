"""Where tiles lie. Integers only.

A tile reads a box and writes a smaller one inside it; the written boxes cover each pixel once. Two rules make
the network say the same in a tile as in the whole image:

1. A tile begins at multiples of the network's `multiple`, so that its pooling squares are those of the image.
2. What it writes is at least `halo` away from where it was cut. At the image's own border it is not cut, and
   there the network pads a tile as it would pad the image.

A third is for speed: all tiles of an image are equally large (but for what the network pads at the right and
bottom), so they fit in one batch, and a library that prepares itself for a shape does so once.
"""

from dataclasses import dataclass

from uvala.arrays import Box, Size

__all__ = ["Tile", "plan_tiles"]


@dataclass(frozen=True)
class Tile:
    """What a tile reads and, inside that, what it writes; both in pixels of the image."""

    read: Box
    write: Box

    @property
    def kept(self) -> Box:
        """`write` in pixels of the tile."""
        top, left = self.read.top, self.read.left
        return Box(
            self.write.top - top, self.write.left - left, self.write.bottom - top, self.write.right - left
        )


def plan_tiles(size: Size, tile: int, halo: int, multiple: int) -> list[Tile]:
    """The tiles of an image, in reading order.

    tile: pixels along each axis that a tile contributes, and halo: pixels of context on each side; both are
    rounded up to multiples of `multiple`. Where the image is thinner than a tile, the tile is longer instead,
    which wastes less on context; it never reads more than (tile + 2 * halo)^2 pixels.
    """
    core, context = _up(tile, multiple), _up(halo, multiple)
    side = core + 2 * context
    height, width = _up(size.height, multiple), _up(size.width, multiple)
    rows = _spans(size.height, _longest(side, width, multiple), context, multiple)
    columns = _spans(size.width, _longest(side, height, multiple), context, multiple)
    return [
        Tile(read=Box(row[0], column[0], row[1], column[1]), write=Box(row[2], column[2], row[3], column[3]))
        for row in rows
        for column in columns
    ]


def _longest(side: int, other: int, multiple: int) -> int:
    """How long a tile may be along one axis, a multiple, where the image measures `other` along the other."""
    return max(side, side * side // other // multiple * multiple)


def _spans(length: int, longest: int, context: int, multiple: int) -> list[tuple[int, int, int, int]]:
    """(read from, read to, write from, write to) along one axis, for reads of at most `longest`."""
    whole = _up(length, multiple)
    if whole <= longest:
        return [(0, length, 0, length)]
    # The first and the last tile need context on one side only: n tiles of core c cover n * c + 2 * context.
    # Of the cores that do with n tiles, the smallest makes them equal.
    inner = whole - 2 * context
    count = -(-inner // (longest - 2 * context))
    core = _up(-(-inner // count), multiple)
    read = core + 2 * context
    edges = [0, *(context + core * i for i in range(1, count)), length]
    starts = [min(core * i, whole - read) for i in range(count)]
    return [
        (start, min(start + read, length), edge, after)
        for start, edge, after in zip(starts, edges[:-1], edges[1:], strict=True)
    ]


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
