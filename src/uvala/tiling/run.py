"""A network over one image: whole where it is small, in tiles where it is large, with the same numbers.

Exactness is geometry (see `geometry`) and holds on any device. That the last bit agrees too needs a library
that computes a convolution alike for both shapes. On a CPU it does, for tiles of the default size: PyTorch
takes another path for layers of up to 20,480 numbers, so that far smaller tiles differ by rounding (1e-7).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import torch
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.errors import UvalaError
from uvala.tiling.config import SMALLEST_TILE, TileConfig
from uvala.tiling.geometry import Tile, plan_tiles
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.tta import View, read_beyond, views_of

__all__ = [
    "Activation",
    "Reader",
    "class_probabilities",
    "predict_from_reader",
    "predict_probabilities",
    "probabilities_whole",
]

Reader = Callable[[Box], Tensor]
"""Gives the pixels of a box, float [C, height, width], normalised as the network wants them."""

Activation = Callable[[Tensor], Tensor]
"""Makes outputs [..., N] of logits [..., L], pixel by pixel; float32 or better, channels last."""


def class_probabilities(logits: Tensor) -> Tensor:
    """The softmax over the last axis: [..., K] -> [..., K]; of one logit its sigmoid: [..., 2]."""
    if logits.shape[-1] == 1:
        # the background's logit is then 0, and the softmax of both is that sigmoid
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
    return logits.softmax(dim=-1)


def predict_probabilities(
    model: nn.Module,
    image: Tensor,
    *,
    num_classes: int,
    halo: int | None,
    multiple: int,
    tiles: TileConfig,
    device: torch.device,
    activate: Activation = class_probabilities,
    test_time: TestTimeConfig | None = None,
    on_smaller_tiles: Callable[[TileConfig], None] | None = None,
) -> Tensor:
    """The softmax probabilities of an image, float32 [num_classes, H, W] on the CPU, each in 0 to 1.

    image: float [C, H, W], normalised, on any device; H and W from 1. model: on `device`, gives logits
    [B, num_classes, H, W], or [B, 1, H, W] for a sigmoid; it runs in eval mode and gets its modes back.
    halo, multiple: as `models.facts.measure` finds them. activate: instead of the softmax; it gives
    `num_classes` outputs per pixel. test_time: mirrored and turned views whose outputs are averaged.

    With a finite halo the result does not depend on `tiles`. Without one (halo None) an image above
    `tiles.whole_below` is an approximation: overlapping tiles, blended smoothly.
    When the device runs out of memory the image is cut smaller and tried again, of which `on_smaller_tiles`
    hears.

    Raises UvalaError if even the smallest tile does not fit.
    """
    return predict_from_reader(
        model,
        lambda box: image[:, *box.slices],
        Size(*image.shape[-2:]),
        num_classes=num_classes,
        halo=halo,
        multiple=multiple,
        tiles=tiles,
        device=device,
        activate=activate,
        test_time=test_time,
        on_smaller_tiles=on_smaller_tiles,
    )


def predict_from_reader(
    model: nn.Module,
    read: Reader,
    size: Size,
    *,
    num_classes: int,
    halo: int | None,
    multiple: int,
    tiles: TileConfig,
    device: torch.device,
    activate: Activation = class_probabilities,
    test_time: TestTimeConfig | None = None,
    on_smaller_tiles: Callable[[TileConfig], None] | None = None,
) -> Tensor:
    """As `predict_probabilities`, of an image of `size` that is read box by box and never held as a whole."""
    context = tiles.overlap // 2 if halo is None else halo
    views = views_of(test_time)
    frame = size if len(views) == 1 else _extended(size, model, multiple)
    read = read if frame == size else read_beyond(read, size)
    while True:
        plans = [_plan(view.size(frame), tiles, context, multiple) for view in views]
        try:
            with _evaluating(model):
                runs = [
                    (view, plan, _run(model, view.reader(read, frame), plan, tiles.batch, device, activate))
                    for view, plan in zip(views, plans, strict=True)
                ]
                if len(runs) > 1:
                    mean = _average(runs, frame, num_classes, blended=halo is None)
                    return mean[:, : size.height, : size.width]
                join = _blend if halo is None else _put_side_by_side
                return join(runs[0][2], size, num_classes)
        except torch.OutOfMemoryError:
            smaller = _smaller(tiles, whole=len(plans[0]) == 1)
        # not inside the except clause: the exception holds the frames, and they hold the tensors
        if smaller is None:
            raise UvalaError(
                found=f"not enough memory on {device} for a tile of {tiles.size}x{tiles.size} pixels",
                expected="room for at least one tile",
                fix="close what else uses the device, or predict with --device cpu",
            )
        tiles = smaller
        if on_smaller_tiles is not None:
            on_smaller_tiles(tiles)


def probabilities_whole(model: nn.Module, image: Tensor, device: torch.device) -> Tensor:
    """The softmax probabilities of an image in one piece: float [C, H, W] -> float32 [K, H, W] on the CPU."""
    with _evaluating(model):
        return (
            _outputs(model, image[None], device, class_probabilities)[0].to("cpu", torch.float32).contiguous()
        )


def _extended(size: Size, model: nn.Module, multiple: int) -> Size:
    """The size that the network extends an image of `size` to by itself."""
    multiple, slack = int(getattr(model, "padded_to", multiple)), int(getattr(model, "slack", 0))
    return Size(*(length + (lack if (lack := -length % multiple) > slack else 0) for length in size))


def _plan(size: Size, tiles: TileConfig, context: int, multiple: int) -> list[Tile]:
    if size.height * size.width <= tiles.whole_below:
        everything = Box(0, 0, size.height, size.width)
        return [Tile(read=everything, write=everything)]
    return plan_tiles(size, tiles.size, context, multiple)


def _smaller(tiles: TileConfig, *, whole: bool) -> TileConfig | None:
    """What to try after `tiles` did not fit: tiles, one at a time, half as large, in this order; or None."""
    if tiles.whole_below and whole:
        return tiles.model_copy(update={"whole_below": 0})
    if tiles.batch > 1:
        return tiles.model_copy(update={"batch": 1})
    if tiles.size > SMALLEST_TILE:
        return tiles.model_copy(update={"size": max(tiles.size // 2, SMALLEST_TILE)})
    return None


def _run(
    model: nn.Module,
    read: Reader,
    plan: Sequence[Tile],
    batch: int,
    device: torch.device,
    activate: Activation,
) -> Iterator[tuple[Tile, Tensor]]:
    """Each tile with the outputs for what it read: [N, height, width], on the device."""
    # tiles are equally large but for those at the border of an image whose size is no multiple
    for _, alike in groupby(plan, key=lambda tile: (tile.read.height, tile.read.width)):
        same = list(alike)
        for start in range(0, len(same), batch):
            chosen = same[start : start + batch]
            images = torch.stack([read(tile.read) for tile in chosen])  # [B, C, h, w]
            yield from zip(chosen, _outputs(model, images, device, activate), strict=True)


@torch.inference_mode()
def _outputs(model: nn.Module, images: Tensor, device: torch.device, activate: Activation) -> Tensor:
    """[B, C, h, w] -> [B, N, h, w]: the activated logits, in float32 or better."""
    images = images.to(device)
    if device.type == "cpu":
        # 0.66 to 0.81 of the time (unet of width 16 to 64, pocket_unet; 2 cores, AVX2). A clone, since `to`
        # and `contiguous` leave an image of one channel as it is, and every layer after it would follow.
        images = images.clone(memory_format=torch.channels_last)
    logits: Tensor = model(images)
    # A pixel a row: across pixels, PyTorch takes exp in vectors and what is left over one by one, so that the
    # last bit would depend on where in its tile a pixel lies.
    rows = logits.to(torch.promote_types(logits.dtype, torch.float32)).permute(0, 2, 3, 1).contiguous()
    return activate(rows).permute(0, 3, 1, 2)


def _put_side_by_side(parts: Iterator[tuple[Tile, Tensor]], size: Size, num_classes: int) -> Tensor:
    result = torch.empty(num_classes, *size)
    for tile, probabilities in parts:
        result[:, *tile.write.slices] = probabilities[:, *tile.kept.slices].to("cpu", torch.float32)
    return result


def _blend(parts: Iterator[tuple[Tile, Tensor]], size: Size, num_classes: int) -> Tensor:
    """The mean of all tiles that saw a pixel; a tile counts less towards the edges where it was cut."""
    total, weight = torch.zeros(num_classes, *size), torch.zeros(size)
    for tile, probabilities in parts:
        window = _window(tile)  # [h, w]
        total[:, *tile.read.slices] += probabilities.to("cpu", torch.float32) * window
        weight[tile.read.slices] += window
    return total / weight


def _average(
    runs: Sequence[tuple[View, Sequence[Tile], Iterator[tuple[Tile, Tensor]]]],
    frame: Size,
    num_classes: int,
    *,
    blended: bool,
) -> Tensor:
    """The mean over the views of an image, [num_classes, *frame]: each tile is added where it lies."""
    total = torch.zeros(num_classes, *frame)
    for view, plan, parts in runs:
        weight = torch.zeros(view.size(frame)) if blended else None
        if weight is not None:
            for tile in plan:
                weight[tile.read.slices] += _window(tile)
        for tile, outputs in parts:
            if weight is None:
                box, part = tile.write, outputs[:, *tile.kept.slices].to("cpu", torch.float32)
            else:
                box, share = tile.read, _window(tile) / weight[tile.read.slices]
                part = outputs.to("cpu", torch.float32) * share
            total[:, *view.box(box, frame).slices] += view.back(part)
    return total.div_(len(runs))


def _window(tile: Tile) -> Tensor:
    """How much each pixel of a tile counts: [height, width], 1 inside, down to nearly 0 where it was cut."""
    read, kept = tile.read, tile.kept
    rows = _ramp(read.height, kept.top, read.height - kept.bottom)
    columns = _ramp(read.width, kept.left, read.width - kept.right)
    return rows[:, None] * columns


def _ramp(length: int, before: int, after: int) -> Tensor:
    """Weights along one axis with so many pixels of context on each side; neighbours share twice as many."""
    position = torch.arange(length) + 0.5
    rise = (position / max(2 * before, 1)).clamp(max=1)
    fall = ((length - position) / max(2 * after, 1)).clamp(max=1)
    # sin^2 + cos^2 = 1: two neighbours together weigh the same everywhere, without a kink at either end
    return (torch.sin(math.pi / 2 * rise) * torch.sin(math.pi / 2 * fall)) ** 2


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards each module is back in its own mode, which need not be the model's."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
