"""How large tiles may be under a ceiling of memory.

A network is run on tensors that have shapes and no numbers, while the bytes of those that are alive are
counted: at two sizes, which tell what a pixel costs. Nothing is computed, so that it takes a moment.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from uvala.arrays import Box, Size
from uvala.errors import ConfigError
from uvala.models.facts import count_statistics
from uvala.tiling.config import SMALLEST_TILE, TileConfig
from uvala.tiling.geometry import Tile, up
from uvala.tiling.network import Activation, TiledNetwork, class_probabilities, evaluating
from uvala.tiling.one_colour import MOST_ANSWERS
from uvala.tiling.tta import View, views_of
from uvala.tiling.use import TiledUse
from uvala.tiling.whole import Moments, NotLocal, survey

__all__ = ["Need", "fit_tiles", "measure_memory", "room_for_sums", "tile_within"]

LARGEST_TILE = 4096  # pixels a side; beyond, context is a small part of a tile whatever the network
# What convolutions take beside the tensors that they are given and give, and what lies idle between blocks of
# memory: peaks of unet, unetpp, unet:resnet34 and plain_conv_unet at 768x768 and 1024x1024 were 1.0 to 1.4
# times the count, and 1.25 to 1.7 times where freed memory is kept (training.allocator).
SCRATCH = 1.75
_PROBE = 256  # pixels a side, at least; smaller maps may be rounded up or padded more than they weigh
_FLOAT = 4  # bytes
_SUMS = 2**27  # bytes of sums in memory: those of 11 million pixels, of two classes


def tile_within(
    use: TiledUse, channels: int, memory_bytes: int, *, networks: int = 1, large: bool = False
) -> TileConfig:
    """`use.tiles` with the largest tiles, and the largest images in one piece, that stay below a ceiling.

    channels: of the image. memory_bytes: for the tiles themselves, what they read and what they give; on top
    come the weights, the process as it is before, and what the caller keeps of the image. networks: how many
    share the ceiling, and take turns. large: for images that are never held as a whole; of blended tiles,
    sums are then kept in `room_for_sums`, however wide an image is.

    A tile is made smaller than `tiles.size` only where it must be, and then comes alone; the numbers are the
    same for any ceiling where tiles are exact. ConfigError if the smallest tile needs more.
    """
    tiles, multiple = use.tiles, use.multiple
    chosen = use.halo is None or tiles.mode == "blended"
    blended = chosen or count_statistics(use.model, channels) > tiles.statistics
    context = tiles.overlap // 2 if blended or use.halo is None else use.halo
    need = measure_memory(
        use.model,
        channels,
        multiple=multiple,
        told=not blended,
        activate=use.activate,
        views=len(views_of(use.test_time)),
        device=use.device,
    )
    need, sums = replace(need, networks=networks), room_for_sums(memory_bytes, networks) * (large and blended)
    return fit_tiles(need, tiles, memory_bytes, context=context, multiple=multiple, sums=sums)


def fit_tiles(
    need: "Need", config: TileConfig, memory_bytes: int, *, context: int, multiple: int, sums: int = 0
) -> TileConfig:
    """As `tile_within`, of a network of which it is known what it needs.

    context: pixels that a tile sees on each side of what it contributes. sums: as of `Need.of_tiles`.
    """
    context = up(context, multiple)

    def bytes_of(tile: int, batch: int) -> float:
        return need.of_tiles(tile, context, batch, sums)

    least = up(SMALLEST_TILE, multiple)
    sizes = range(least, max(LARGEST_TILE, config.size) + 1, multiple)
    batch = config.batch if bytes_of(max(config.size, least), config.batch) <= memory_bytes else 1
    fitting = [tile for tile in sizes if bytes_of(tile, batch) <= memory_bytes]
    if not fitting:
        needed = math.ceil(bytes_of(least, 1) / 1e6)
        raise ConfigError(
            found=f"{memory_bytes / 1e6:.0f} MB of memory for tiles",
            expected=f"{needed} MB or more: what this network needs for {least}x{least} pixels and the"
            f" {context} on each side that they depend on",
            fix="allow more memory, or use a smaller network",
        )
    changes = {"size": fitting[-1], "batch": batch, "whole_below": need.pixels_in_one_piece(memory_bytes)}
    return config.model_copy(update=changes)


def room_for_sums(memory_bytes: int, networks: int = 1) -> int:
    """Bytes of sums of blended tiles that each of so many networks keeps in memory under a ceiling."""
    return min(_SUMS, memory_bytes // 4) // networks


@dataclass(frozen=True)
class Need:
    """Bytes that a network needs while it predicts.

    fixed and each_pixel: of the tensors alive at one time, while it sees a tile. outputs: what it says of a
    pixel, numbers. views: how many are averaged. channels: of the image. networks: how many there are, each
    of which keeps what it read ahead and what it gave while another one is at work.
    """

    fixed: float
    each_pixel: float
    outputs: int
    views: int = 1
    channels: int = 0
    networks: int = 1

    def of_tiles(self, tile: int, context: int, batch: int = 1, sums: int = 0) -> float:
        """For a batch of tiles that contribute `tile` * `tile` pixels, with so much context on each side.

        sums: bytes of those of blended tiles that are kept in memory, if tiles are.
        """
        read = (tile + 2 * context) ** 2
        of_one = _FLOAT * self.outputs
        kept = batch * tile * tile * of_one * (1 + (self.views > 1))  # the copy given, and the sum of views
        remembered = MOST_ANSWERS * read * of_one
        ahead = _FLOAT * self.channels * read
        blending = sums + (of_one + _FLOAT) * read if sums else 0  # and a tile, weighed
        each = kept + remembered + ahead + blending
        return SCRATCH * (self.fixed + self.each_pixel * batch * read) + self.networks * each

    def pixels_in_one_piece(self, memory_bytes: int) -> int:
        """How many pixels an image may have that is not cut."""
        kept = _FLOAT * self.outputs * (2 + (self.views > 1))
        return max(0, int((memory_bytes - SCRATCH * self.fixed) / (SCRATCH * self.each_pixel + kept)))


def measure_memory(
    model: nn.Module,
    channels: int,
    *,
    multiple: int,
    told: bool = True,
    activate: Activation = class_probabilities,
    views: int = 1,
    device: torch.device | None = None,
) -> Need:
    """What a network in eval mode needs; it stays as it is.

    told: as in tiles that are told of the whole image, where the network can be told.
    """
    where = device or torch.device("cpu")
    side = up(_PROBE, multiple)
    network = TiledNetwork(
        _Shapes(model), where, multiple, None, activate, (View(),), Size(4 * side, 4 * side)
    )
    with evaluating(model):
        if told:
            network = _told(network, channels)
        small, outputs = _peak(network, channels, Size(side, side))
        large, _ = _peak(network, channels, Size(2 * side, 2 * side))
    each_pixel = (large - small) / (3 * side * side)
    return Need(max(0.0, small - each_pixel * side * side), each_pixel, outputs, views, channels)


class _Shapes(nn.Module):
    """A network whose weights are shapes without numbers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        named = [*model.named_parameters(), *model.named_buffers()]
        self._weights = {name: torch.empty(each.shape, device="meta") for name, each in named}
        self._model = [model]  # in a list, so that it is no part of this one

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K, H, W]."""
        return functional_call(self._model[0], self._weights, image)


def _told(network: TiledNetwork, channels: int) -> TiledNetwork:
    """The network as it sees a tile of a larger image."""
    try:
        found = survey(network.model, channels, network.frame, network.multiple)
    except NotLocal:
        return network
    return replace(network, surveys=(found,))


def _peak(network: TiledNetwork, channels: int, size: Size) -> tuple[int, int]:
    """Bytes of the tensors that were alive at one time, of one image; and how many outputs a pixel has."""
    box = Box(0, 0, *size)
    inside: AbstractContextManager[object] = nullcontext()
    if network.needs_telling:
        known: dict[int, Moments] = {place: _AnyMoments() for place in network.surveys[0].statistics}
        inside = network.inside(0, Tile(read=box, write=box), known)
    with _Living() as living:
        image = torch.empty(1, channels, *size, device="meta")
        with inside:
            outputs, _ = network.compute(image)
    return living.most, outputs.shape[1]


class _AnyMoments(Moments):
    """Statistics of as many channels as are asked for."""

    def apply(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """What the call gives in the whole image, for its part [B, C, h, w] there."""
        self.pixels = 1
        self.mean = self.squares = self.maximum = torch.zeros(args[0].shape[1], device="meta")
        return super().apply(func, args, kwargs)


class _Living(TorchDispatchMode):
    """Counts the bytes of tensors that were made inside and are alive; `most`: at one time.

    A tensor lives as long as something holds it, so that this counts what the same Python code holds when it
    computes numbers.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.now = self.most = 0
        self._alive: dict[int, ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and each.device.type == "meta":
                self._count(each.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        # by its address: views, and what is computed in place, share the storage of what they are made from
        address = storage._cdata
        if address in self._alive:
            return
        self._alive[address] = ref(storage, partial(self._forget, address, storage.nbytes()))
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)

    def _forget(self, address: int, size: int, storage: "ref[Any]") -> None:
        del self._alive[address]
        self.now -= size
