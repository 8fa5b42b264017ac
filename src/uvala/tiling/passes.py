"""A network goes over the tiles of a plan: each alone, or blended with its neighbours."""

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby

import torch
from torch import Tensor

from uvala.arrays import Box, Size
from uvala.tiling.ahead import Reader, read_ahead
from uvala.tiling.area import Area
from uvala.tiling.blend import blend, window_named
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import Tile, inside, up
from uvala.tiling.network import Known, TiledNetwork
from uvala.tiling.shelf import Scratch, Shelf

__all__ = ["Pass"]

Part = tuple[Box, Tensor]
"""A box of the image and its outputs [N, height, width], on any device."""

_SQUARE = 256  # pixels a side, at least, of what is blended at a time; smaller ones take longer to cut out


@dataclass(frozen=True)
class Pass:
    """A network, an image of `size` that is read box by box, and the tiles that it is cut into.

    grid: parts that are given are cut at its multiples. blended: tiles are weighed together; otherwise each
    gives the part that it writes. scratch: for sums of blended tiles that memory has no room for; None keeps
    them in memory.
    """

    network: TiledNetwork
    read: Reader
    plan: Sequence[Tile]
    tiles: TileConfig
    size: Size
    grid: int
    blended: bool
    scratch: Scratch | None = None

    def parts(self, came: Area) -> Iterator[Part]:
        """All parts of the image, row by row, but those of which everything came before."""
        return self._blended(came) if self.blended else self._on_grid(self._side_by_side(came))

    def _side_by_side(self, came: Area) -> Iterator[Part]:
        """What each tile says of the part that is its own."""
        left = [tile for tile in self.plan if not came.has(inside(tile.write, self.size))]
        known: Known = ()
        if self.network.needs_telling and left:
            known = self.network.gather(self.read, self.plan)
        for tile, outputs in self._outputs(left, known):
            yield inside(tile.write, self.size), outputs

    def _on_grid(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Where tiles are smaller than a block of the grid, those of a block are put together."""
        side = math.lcm(self.network.multiple, self.grid)
        for (row, column), some in groupby(
            parts, key=lambda part: (part[0].top // side, part[0].left // side)
        ):
            yield self._together(Box(row * side, column * side, (row + 1) * side, (column + 1) * side), some)

    def _together(self, block: Box, parts: Iterator[Part]) -> Part:
        """The parts of a block as one; what is larger than a block comes alone, and stays as it is."""
        box, outputs = next(parts)
        end = inside(block, self.size)
        whole = Box(block.top, block.left, max(box.bottom, end.bottom), max(box.right, end.right))
        if box == whole:
            return box, outputs
        together = torch.empty(len(outputs), whole.height, whole.width)
        for part, values in chain([(box, outputs)], parts):
            top, left = part.top - whole.top, part.left - whole.left
            place = Box(top, left, top + part.height, left + part.width)
            together[:, *place.slices] = values[:, : part.height, : part.width]
        return whole, together

    def _blended(self, came: Area) -> Iterator[Part]:
        """Squares of the image, on the CPU."""
        left = [tile for tile in self.plan if not came.has(inside(tile.read, self.size))]
        all_they_read = [Tile(read=tile.read, write=tile.read) for tile in left]
        with closing(Shelf(self.scratch)) as sums, closing(self._outputs(all_they_read)) as seen:
            yield from blend(
                ((tile, outputs) for tile, (_, outputs) in zip(left, seen, strict=True)),
                left,
                self.size,
                window=window_named(self.tiles.window),
                side=self.grid if self.grid > 1 else up(_SQUARE, came.cell),
                wanted=lambda square: not came.has(square),
                sums=sums,
            )

    def _outputs(self, tiles: Sequence[Tile], known: Known = ()) -> Generator[tuple[Tile, Tensor]]:
        """Each tile with the outputs for what it writes: [N, height, width], on the device."""
        batches = list(_batches(tiles, 1 if known else self.tiles.batch))
        boxes = [box for batch in batches for box in self.network.boxes(batch)]
        with closing(read_ahead(self.read, boxes)) as pixels:
            for batch in batches:
                yield from zip(batch, self.network.outputs(pixels, batch, known), strict=True)


def _batches(tiles: Sequence[Tile], most: int) -> Iterator[Sequence[Tile]]:
    """Tiles that the network sees at once, as they follow one another."""
    # tiles are equally large but for those at the border of an image whose size is no multiple
    for _, alike in groupby(tiles, key=lambda tile: (tile.read.height, tile.read.width)):
        same = list(alike)
        yield from (same[start : start + most] for start in range(0, len(same), most))
