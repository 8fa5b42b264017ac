"""What blending costs: how far blended tiles are from the numbers of the whole image."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from uvala.arrays import Box, Size
from uvala.tiling.ahead import Reader
from uvala.tiling.area import Area
from uvala.tiling.config import SMALLEST_TILE, TileConfig
from uvala.tiling.geometry import Tile, plan_tiles, up
from uvala.tiling.network import TiledNetwork
from uvala.tiling.one_colour import Answers, colour_of
from uvala.tiling.passes import Pass

__all__ = ["Blend", "Crop", "SeamError", "blended_crop", "difference"]


@dataclass(frozen=True)
class SeamError:
    """largest: difference of a logit, in standard deviations of the whole image's logits. mean: of all.
    changed: part of the pixels that change their class, 0 to 1.
    """

    largest: float
    mean: float
    changed: float


def difference(found: Tensor, expected: Tensor) -> SeamError:
    """Of logits [K, H, W], or probabilities, from those that they should be."""
    apart = (found - expected).abs() / expected.std()
    changed = (found.argmax(dim=0) != expected.argmax(dim=0)).double().mean()
    return SeamError(float(apart.max()), float(apart.mean()), float(changed))


class Crop(NamedTuple):
    """A part of an image, predicted twice. blended, whole: outputs [N, H, W] in tiles that contribute `tile`
    pixels a side, and in one piece.
    """

    tile: int
    blended: Tensor
    whole: Tensor


class Blend(NamedTuple):
    """That the tiles of an image are blended: why; the side of what one contributes, pixels; and, for whoever
    wants to know what that costs, a crop (`blended_crop`), while the image is being predicted.
    """

    why: str
    tile: int
    crop: Callable[[], Crop | None]


def blended_crop(network: TiledNetwork, read: Reader, tiles: TileConfig, size: Size) -> Crop | None:
    """A crop from the middle of an image of `size`, blended and in one piece; takes as long as three tiles.

    It has no more pixels than a tile reads, so that it needs no more memory: its own tiles are smaller, and
    differ rather more from the whole than those of the image. None where the image is too small for it, of
    one colour there, or there is no memory.
    """
    box, tile = _middle(tiles, size, network.multiple)
    frame = Size(box.height, box.width)
    plan = plan_tiles(frame, tile, tiles.overlap // 2, network.multiple)
    pixels = read(box)
    if len(plan) == 1 or colour_of(pixels) is not None:
        return None
    everything = Box(0, 0, *frame)
    blended = Pass(
        replace(network, frame=frame, answers=Answers()),
        lambda part: pixels[:, *part.slices],
        plan,
        tiles,
        frame,
        grid=1,
        blended=True,
    )
    whole = replace(blended, plan=[Tile(read=everything, write=everything)], blended=False)
    try:
        return Crop(tile, _outputs(blended), _outputs(whole))
    except torch.OutOfMemoryError:
        return None


def _middle(tiles: TileConfig, size: Size, multiple: int) -> tuple[Box, int]:
    """Where the crop lies, and the side of what its tiles contribute; there are two of them."""
    context = up(tiles.overlap // 2, multiple)
    most = (up(tiles.size, multiple) + 2 * context) ** 2
    fitting = [
        side
        for side in range(up(SMALLEST_TILE, multiple), tiles.size, multiple)
        if (side + 2 * context) * 2 * (side + context) <= most
    ]
    tile = max(fitting, default=up(SMALLEST_TILE, multiple))
    shape = (tile + 2 * context, 2 * (tile + context))
    height, width = (
        min(wanted, length // multiple * multiple or length)
        for wanted, length in zip(sorted(shape, reverse=size.height > size.width), size, strict=True)
    )
    top, left = (
        (length - part) // 2 // multiple * multiple
        for length, part in zip(size, (height, width), strict=True)
    )
    return Box(top, left, top + height, left + width), tile


def _outputs(over: Pass) -> Tensor:
    """All that a pass gives, put together; no tensor of the inference mode."""
    parts = over.parts(Area(over.size, over.network.multiple))
    box, first = next(parts)
    result = torch.empty(len(first), *over.size)
    for part, outputs in chain([(box, first)], parts):
        result[:, *part.slices] = outputs
    return result
