"""A network goes over the tiles of a plan: each alone, or blended with its neighbours."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import torch
from torch import Tensor

from uvala.arrays import Box, Size
from uvala.tiling.area import Area
from uvala.tiling.blend import blend, window_named
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import Tile
from uvala.tiling.network import Reader, TiledNetwork

__all__ = ["Pass"]

Part = tuple[Box, Tensor]
"""A box of the image and its outputs [N, height, width], on any device."""


@dataclass(frozen=True)
class Pass:
    """A network, an image of `size` that is read box by box, and the tiles that it is cut into.

    grid: parts that are given are cut at its multiples. blended: tiles are weighed together; otherwise each
    gives the part that it writes.
    """

    network: TiledNetwork
    read: Reader
    plan: Sequence[Tile]
    tiles: TileConfig
    size: Size
    grid: int
    blended: bool

    def parts(self, came: Area) -> Iterator[Part]:
        """All parts of the image, in reading order, but those of which everything came before."""
        return self._blended(came) if self.blended else self._on_grid(self._side_by_side(came))

    def _side_by_side(self, came: Area) -> Iterator[Part]:
        """What each tile says of the part that is its own."""
        left = [tile for tile in self.plan if not came.has(_inside(tile.write, self.size))]
        if self.network.needs_telling and left:
            known = self.network.gather(self.read, self.plan)
            for tile in left:
                yield _inside(tile.write, self.size), self.network.outputs(self.read, [tile], known)[0]
            return
        for tile, outputs in self._in_batches(left):
            yield _inside(tile.write, self.size), outputs

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
        end = _inside(block, self.size)
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
        """Strips of the image, on the CPU."""
        top = came.rows
        left = [tile for tile in self.plan if tile.read.bottom > top]
        all_of_it = [Tile(read=tile.read, write=tile.read) for tile in left]
        seen = self._in_batches(all_of_it)
        with_weights = ((tile, outputs) for tile, (_, outputs) in zip(left, seen, strict=True))
        window = window_named(self.tiles.window)
        for box, outputs in blend(
            with_weights, left, self.network.frame, window=window, grid=self.grid, top=top
        ):
            yield _inside(box, self.size), outputs

    def _in_batches(self, plan: Sequence[Tile]) -> Iterator[tuple[Tile, Tensor]]:
        """Each tile with the outputs for what it writes: [N, height, width], on the device."""
        # tiles are equally large but for those at the border of an image whose size is no multiple
        for _, alike in groupby(plan, key=lambda tile: (tile.read.height, tile.read.width)):
            same = list(alike)
            for start in range(0, len(same), self.tiles.batch):
                chosen = same[start : start + self.tiles.batch]
                yield from zip(chosen, self.network.outputs(self.read, chosen), strict=True)


def _inside(box: Box, size: Size) -> Box:
    """The part of a box that is in the image, whose frame may be larger."""
    return Box(box.top, box.left, min(box.bottom, size.height), min(box.right, size.width))
