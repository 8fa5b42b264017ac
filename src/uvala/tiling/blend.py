"""Tiles that overlap, blended: an approximation, for networks of which no tile is exact or by choice."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

import torch
from torch import Tensor

from uvala.arrays import Box, Size
from uvala.tiling.geometry import Tile

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
    grid: int,
    top: int,
) -> Iterator[tuple[Box, Tensor]]:
    """The mean of all tiles that saw a pixel, weighed by their windows.

    seen: tiles with the outputs for all that they read, [N, height, width], in the order of the plan. Gives
    strips of the image from row `top` on, float32 [N, height, size.width], cut at multiples of `grid`: each
    as soon as no tile will be added to it.
    """
    rows = [
        Box(*span) for span in sorted({(tile.read.top, 0, tile.read.bottom, size.width) for tile in plan})
    ]
    following = {row.top: after.top for row, after in pairwise(rows)}
    total = weight = None
    for start, row in groupby(seen, key=lambda pair: pair[0].read.top):
        for tile, outputs in row:
            if total is None or weight is None:
                total, weight = torch.zeros(len(outputs), 0, size.width), torch.zeros(0, size.width)
            missing = tile.read.bottom - top - len(weight)
            if missing > 0:
                total = torch.cat([total, torch.zeros(len(total), missing, size.width)], dim=1)
                weight = torch.cat([weight, torch.zeros(missing, size.width)])
            above = max(top - tile.read.top, 0)  # rows that are finished
            place = slice(max(tile.read.top - top, 0), tile.read.bottom - top)
            columns = slice(tile.read.left, tile.read.right)
            weights = window(tile)[above:]  # [h, w]
            total[:, place, columns] += outputs[:, above:].to("cpu", torch.float32) * weights
            weight[place, columns] += weights
        assert total is not None
        assert weight is not None
        bottom = following[start] // grid * grid if start in following else size.height
        if bottom > top:
            ready = bottom - top
            yield Box(top, 0, bottom, size.width), total[:, :ready] / weight[:ready]
            total, weight, top = total[:, ready:], weight[ready:], bottom


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
