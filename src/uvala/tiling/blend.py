"""Tiles that overlap, blended: an approximation, for networks of which no tile is exact or by choice."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from uvala.arrays import Box, Size, cells
from uvala.tiling.geometry import Tile, inside
from uvala.tiling.shelf import Shelf

__all__ = ["Window", "blend", "window_named"]

GAUSSIAN = 0.125  # deviation of a tile's side: that of MONAI's and nnU-Net's sliding windows

Window = Callable[[Tile], Tensor]
"""How much each pixel that a tile reads counts: [height, width], more than 0."""


def blend(
    seen: Iterable[tuple[Tile, Tensor]],
    plan: Sequence[Tile],
    size: Size,
    *,
    window: Window,
    side: int,
    wanted: Callable[[Box], bool],
    sums: Shelf,
) -> Iterator[tuple[Box, Tensor]]:
    """The mean of all tiles that saw a pixel, weighed by their windows, in squares of `side` pixels.

    seen: tiles with the outputs for all that they read, [N, height, width], in the order of the plan. Each
    square of the image that is wanted is given, float32 [N, height, width], as soon as no tile will be added
    to it. sums: where squares wait for that; with their weights, which come last.
    """
    last = {
        (cell.row, cell.column): number
        for number, tile in enumerate(plan)
        for cell in cells(inside(tile.read, size), side)
    }
    for number, (tile, outputs) in enumerate(seen):
        weights = window(tile)  # [h, w]
        weighed = outputs.to("cpu", torch.float32) * weights
        for cell in cells(inside(tile.read, size), side):
            place, (top, left) = (cell.row, cell.column), (cell.row * side, cell.column * side)
            square = inside(Box(top, left, top + side, left + side), size)
            if not wanted(square):
                continue
            known = sums.take(place)
            total = (
                torch.zeros(len(weighed) + 1, square.height, square.width)
                if known is None
                else torch.from_numpy(known)
            )
            total[:-1, *cell.of_cell] += weighed[:, *cell.of_box]
            total[-1, *cell.of_cell] += weights[cell.of_box]
            if number == last[place]:
                yield square, total[:-1] / total[-1]
            else:
                sums.put(place, total.numpy())


def window_named(name: str) -> Window:
    """ "smooth" or "gaussian"; see `TileConfig.window`."""
    return _WINDOWS[name]


def _smooth(tile: Tile) -> Tensor:
    """1 inside, down to nearly 0 where the tile was cut."""
    read, kept = tile.read, tile.kept
    rows = _ramp(read.height, kept.top, read.height - kept.bottom)
    columns = _ramp(read.width, kept.left, read.width - kept.right)
    return rows[:, None] * columns


def _ramp(length: int, before: int, after: int) -> Tensor:
    """Weights along one axis with so many pixels of context on each side; neighbours share twice as many."""
    position = torch.arange(length) + 0.5
    # without context, 1 from the first pixel on, which lies half a pixel from the edge
    rise = (position / max(2 * before, 0.5)).clamp(max=1)
    fall = ((length - position) / max(2 * after, 0.5)).clamp(max=1)
    # sin^2 + cos^2 = 1: two neighbours together weigh the same everywhere, without a kink at either end
    return (torch.sin(math.pi / 2 * rise) * torch.sin(math.pi / 2 * fall)) ** 2


def _gaussian(tile: Tile) -> Tensor:
    """1 in the middle of the tile, 1e-7 in its corners."""
    return _bell(tile.read.height)[:, None] * _bell(tile.read.width)


def _bell(length: int) -> Tensor:
    distance = torch.arange(length) - (length - 1) / 2
    return torch.exp(-0.5 * (distance / (GAUSSIAN * length)) ** 2)


_WINDOWS: Mapping[str, Window] = {"smooth": _smooth, "gaussian": _gaussian}
