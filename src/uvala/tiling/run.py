"""A network over one image: whole where it is small, in tiles where it is large, with the same numbers.

Exactness is geometry (see `geometry`) and holds on any device. That the last bit agrees too needs a library
that computes a convolution alike for both shapes. On a CPU it does, for tiles of the default size: PyTorch
takes another path for layers of up to 20,480 numbers, so that far smaller tiles differ by rounding (1e-7).
"""

from collections.abc import Collection, Generator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.errors import UvalaError
from uvala.tiling.ahead import Reader
from uvala.tiling.area import Area
from uvala.tiling.config import SMALLEST_TILE, TileConfig
from uvala.tiling.geometry import Tile, plan_tiles
from uvala.tiling.network import Activation, TiledNetwork, class_probabilities, evaluating
from uvala.tiling.passes import Pass
from uvala.tiling.seams import Blend, blended_crop
from uvala.tiling.shelf import Scratch
from uvala.tiling.tta import read_beyond, views_of
from uvala.tiling.use import TiledUse
from uvala.tiling.whole import NotLocal, survey

__all__ = [
    "predict_blocks",
    "predict_from_reader",
    "predict_probabilities",
    "probabilities_whole",
]


def predict_probabilities(use: TiledUse, image: Tensor) -> Tensor:
    """The softmax probabilities of an image, float32 [K, H, W] on the CPU, each in 0 to 1.

    image: float [C, H, W], normalised, on any device; H and W from 1.

    With a finite halo the result does not depend on `use.tiles`: a network whose interpolations depend on the
    size of the image, or that takes statistics of the whole of it, is told of them (see `whole`). Without a
    halo (None), or with more than `tiles.statistics` of these, an image above `tiles.whole_below` is an
    approximation: overlapping tiles, blended, as they are where `tiles.mode` asks for it. `use.on_blended`
    then hears so, once. When the device runs out of memory the image is cut smaller and tried again, of which
    `use.on_smaller_tiles` hears; blended tiles are so only before the first of them is done.

    Raises UvalaError if even the smallest tile does not fit.
    """
    return predict_from_reader(use, lambda box: image[:, *box.slices], Size(*image.shape[-2:]))


def predict_from_reader(use: TiledUse, read: Reader, size: Size) -> Tensor:
    """As `predict_probabilities`, of an image of `size` that is read box by box and never held as a whole."""
    result = torch.empty(0)
    for box, outputs in predict_blocks(use, read, size):
        if not len(result):
            result = torch.empty(len(outputs), *size)
        result[:, *box.slices] = outputs
    return result


def predict_blocks(
    use: TiledUse,
    read: Reader,
    size: Size,
    *,
    grid: int = 1,
    finished: Collection[Box] = (),
    scratch: Scratch | None = None,
) -> Generator[tuple[Box, Tensor]]:
    """As `predict_from_reader`, box by box: each with its outputs, float32 [N, height, width] on the CPU.

    The boxes cover each pixel of the image once, row by row, and are cut at multiples of `grid`. To be closed
    where it is left early: `read`, which a thread calls for the tile after this one, has ended then.
    finished: boxes, of whatever tiles, that came from an earlier call with the same network and image and
    need not come again; of a square of the grid that lies in none of them entirely, all comes. Blended tiles
    are other numbers with another `use.tiles`, and `finished` is then of calls with the same. Where these had
    no room on the device, this one begins with smaller tiles, too.

    Memory: some tiles; where tiles are blended, sums for a strip as wide as the image and about twice as high
    as a tile, of which `scratch` may limit what is in memory.
    """
    tiles, views = use.tiles, views_of(use.test_time)
    frame = size if len(views) == 1 else _extended(size, use)
    read = read if frame == size else read_beyond(read, size)
    chosen = tiles.mode == "blended"
    halo = None if chosen else use.halo
    network = TiledNetwork(use.model, use.device, use.multiple, halo, use.activate, views, frame)
    why, begun = _CHOSEN if chosen else _NEVER_EXACT, False
    came = Area(size, grid if grid > 1 else use.multiple)
    for box in finished:
        came.add(box)
    while not came.complete:
        plan = _plan(network, tiles, grid)
        if len(plan) > 1 and network.halo is not None and not network.surveys:
            try:
                network = _surveyed(network, len(read(Box(0, 0, 1, 1))), tiles)
            except NotLocal as reason:
                network, why = replace(network, halo=None), str(reason) or _NEVER_EXACT
            continue  # where it is blended, the plan is another
        blended = network.halo is None and len(plan) > 1
        this = Pass(network, read, plan, tiles, size, grid, blended, scratch)
        try:
            with evaluating(use.model):
                for box, outputs in this.parts(came):
                    if blended and not begun and use.on_blended is not None:
                        crop = partial(blended_crop, network, read, tiles, size)
                        use.on_blended(Blend(why, tiles.size, crop))
                    begun = blended
                    for part in list(came.missing(box)):
                        yield part, _cut_out(outputs, box, part)
                    came.add(box)
            return
        except NotLocal:  # in a tile the network does something else than in the image
            network, why = replace(network, halo=None, surveys=()), _NEVER_EXACT
            continue
        except torch.OutOfMemoryError:
            # in the middle of an image, blended tiles of another size would be other numbers
            least = max(SMALLEST_TILE, use.multiple)
            smaller = None if begun else _smaller(tiles, least, whole=len(plan) == 1)
        # not inside the except clause: the exception holds the frames, and they hold the tensors
        if smaller is None:
            raise UvalaError(
                found=f"not enough memory on {use.device} for a tile of {tiles.size}x{tiles.size} pixels",
                expected="room for at least one tile",
                fix="close what else uses the device, or predict with --device cpu",
            )
        tiles = smaller
        if use.on_smaller_tiles is not None:
            use.on_smaller_tiles(tiles)


_CHOSEN = "tiles.mode asks for it"
_NEVER_EXACT = "no tile of this network gives the numbers of the whole image"


def _cut_out(outputs: Tensor, box: Box, part: Box) -> Tensor:
    """What of the outputs of a box belongs to a part of it, float32 on the CPU; a tensor of its own."""
    # a copy: outputs may be a corner of a larger tensor, be remembered, or belong to the inference mode
    top, left = part.top - box.top, part.left - box.left
    place = Box(top, left, top + part.height, left + part.width)
    return torch.empty(len(outputs), part.height, part.width).copy_(outputs[:, *place.slices])


def _surveyed(network: TiledNetwork, channels: int, tiles: TileConfig) -> TiledNetwork:
    """The network with what it does with the whole image; NotLocal where that is too much."""
    with evaluating(network.model):
        surveys = [
            survey(network.model, channels, view.size(network.frame), network.multiple)
            for view in network.views
        ]
    wanted = max(len(each.statistics) for each in surveys)
    if wanted > tiles.statistics:
        raise NotLocal(
            f"the network wants {wanted} numbers of the whole image, more than the {tiles.statistics} of"
            " tiles.statistics"
        )
    return replace(network, surveys=surveys)


def probabilities_whole(
    model: nn.Module, image: Tensor, device: torch.device, activate: Activation = class_probabilities
) -> Tensor:
    """The softmax probabilities of an image in one piece: float [C, H, W] -> float32 [K, H, W] on the CPU."""
    size = Size(*image.shape[-2:])
    everything = Box(0, 0, *size)
    network = TiledNetwork(model, device, 1, None, activate, views_of(None), size)
    with evaluating(model):
        (outputs,) = network.outputs(iter([image]), [Tile(read=everything, write=everything)])
    return torch.empty(outputs.shape).copy_(outputs)  # no tensor of the inference mode


def _extended(size: Size, use: TiledUse) -> Size:
    """The size that the network extends an image of `size` to by itself."""
    multiple, slack = int(getattr(use.model, "padded_to", use.multiple)), int(getattr(use.model, "slack", 0))
    return Size(*(length + (lack if (lack := -length % multiple) > slack else 0) for length in size))


def _plan(network: TiledNetwork, tiles: TileConfig, grid: int) -> list[Tile]:
    frame = network.frame
    if frame.height * frame.width <= tiles.whole_below:
        everything = Box(0, 0, *frame)
        return [Tile(read=everything, write=everything)]
    if network.halo is None:
        return plan_tiles(frame, tiles.size, tiles.overlap // 2, network.multiple)
    return plan_tiles(frame, tiles.size, network.halo, network.multiple, grid)


def _smaller(tiles: TileConfig, least: int, *, whole: bool) -> TileConfig | None:
    """What to try after `tiles` did not fit: tiles, one at a time, half as large, in this order; or None."""
    if tiles.whole_below and whole:
        return tiles.model_copy(update={"whole_below": 0})
    if tiles.batch > 1:
        return tiles.model_copy(update={"batch": 1})
    if tiles.size > least:
        return tiles.model_copy(update={"size": max(tiles.size // 2, least)})
    return None
