"""What computes the networks of a prediction, and in how much memory."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from uvala.arrays import Box, Size
from uvala.errors import ConfigError
from uvala.machine import LARGE_IMAGES, LOADED, shares
from uvala.prediction.ensemble import Member
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import up
from uvala.tiling.shelf import Scratch

__all__ = ["Cutting", "Execution", "cutting_of", "parse_memory"]

# However little memory there is, the network gets some of it: this share, or so many bytes. Where that is
# more than what is loaded and what is kept of images leave, which is below 1.2 GB, the ceiling is not kept.
_LEAST_SHARE, _LEAST = 0.3, 10**8

_WIDEST_GRID = 1024  # pixels; larger chunks are no faster to read and to write
_NARROWEST_GRID = 256  # of smaller tiles, several make a block: with a file for each, a disk has a million
_LARGEST_TILE = 2048  # pixels

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {f"{unit}i": 2 ** (10 * power) for power, unit in enumerate("kmgt", start=1)}


def parse_memory(text: str) -> int:
    """Bytes in '2GB', '500MB', '1.5g', '1GiB' or a plain number of bytes; ConfigError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if match is None or match[2] not in _UNITS or float(match[1]) == 0:
        raise ConfigError(
            found=f"memory '{text}'",
            expected="an amount such as 2GB, 500MB or 1.5g",
            fix="write a number with one of the units MB and GB",
        )
    return int(float(match[1]) * _UNITS[match[2]])


class Cutting(NamedTuple):
    """How a large image is cut. grid: side of the blocks that it is written in, pixels, a power of two.

    said: in words, what its numbers depend on besides the networks.
    """

    grid: int
    said: str


def cutting_of(
    tiles: Sequence[TileConfig],
    device: torch.device,
    *,
    planned: Sequence[TileConfig] | None = None,
    exact: bool = False,
) -> Cutting:
    """How an image is cut that several networks cut so.

    planned: how their cards cut it, where that is not the same. exact: the numbers are the same however it is
    cut.
    """
    said = "any tiles" if exact else str([each.model_dump(mode="json") for each in tiles])
    sizes = [(each.size, plan.size) for each, plan in zip(tiles, planned or tiles, strict=True)]
    return Cutting(min(_grid_of(*each) for each in sizes), f"{said} on {device}")


def _grid_of(tile: int, planned: int) -> int:
    """The largest power of two that a tile holds, or the planned one up to 256 where that is more."""
    return min(max(_power(tile), min(_power(planned), _NARROWEST_GRID)), _WIDEST_GRID)


def _power(length: int) -> int:
    """The largest power of two up to a length."""
    return 2 ** (length.bit_length() - 1)


def _for_networks(memory: int) -> int:
    """What of a ceiling is for the networks."""
    return max(memory - LOADED - shares(memory).together, int(min(memory * _LEAST_SHARE, _LEAST)))


@dataclass
class Execution:
    """How networks are computed.

    device: where. backend: "torch", another of `uvala.backends`, or "auto" for the fastest of those that are
    installed and agree with torch. memory: bytes that predicting may take besides the weights; None: images
    are cut as the card says, and large ones as 2 GB allow. megapixels: about how much there is to predict;
    for little, "auto" does not look for what is fastest. size: of most of the images,
    if it is known. settled: what "auto" need not choose again, by the identity of the network.
    """

    device: torch.device
    backend: str = "torch"
    memory: int | None = None
    megapixels: float | None = None
    size: Size | None = None
    settled: dict[int, str] = field(default_factory=dict, init=False)
    _ready: dict[int, tuple[nn.Module, str]] = field(default_factory=dict, init=False)
    _needs: dict[Any, TileConfig] = field(default_factory=dict, init=False)
    _statistics: dict[int, int] = field(default_factory=dict, init=False)

    def require_usable(self, members: Sequence[Member]) -> None:
        """UnknownNameError for a backend of another name, BackendError for one that is not installed."""
        if self.backend in ("auto", "torch"):
            return
        from uvala.backends.accelerate import require_usable

        for member in members:
            require_usable(member.model, self.backend)

    def prepared(self, member: Member) -> Member:
        """The member as it is computed: its tiles cut to the memory, its network with the backend.

        ConfigError if no tile fits the memory.
        """
        return self._with(member, self.tiles(member))

    def together(self, members: Sequence[Member]) -> list[Member]:
        """Members as of `prepared`, for images that are predicted block by block.

        All are cut alike, so that none has to wait for what another one says of a block.
        """
        return [self._with(*each) for each in zip(members, self._alike(members), strict=True)]

    def cutting(self, members: Sequence[Member]) -> Cutting:
        """How members cut images that are predicted block by block; ConfigError as of `prepared`."""
        return cutting_of(
            self._alike(members),
            self.device,
            planned=[member.card.tiles for member in members],
            exact=all(map(self.exact, members)),
        )

    def deciding_tiles(self, members: Sequence[Member]) -> list[TileConfig]:
        """How images are cut for members whose numbers depend on that; none where tiles are exact."""
        if all(map(self.exact, members)):
            return []
        # those of large images follow from the cards where there is no ceiling
        return [*map(self.tiles, members), *(self._alike(members) if self.memory else ())]

    def scratch(self, folder: Path | None, networks: int = 1) -> Scratch | None:
        """Where each of so many networks puts what it has no room for in memory; None without a folder."""
        from uvala.tiling.memory import room_for_sums

        memory = _for_networks(LARGE_IMAGES if self.memory is None else self.memory)
        return None if folder is None else Scratch(folder, room_for_sums(memory, networks))

    def tiles(self, member: Member, *, large: bool = False, networks: int = 1) -> TileConfig:
        """How images are cut for a member, one of so many over one image.

        large: for images that are predicted block by block.
        """
        memory = LARGE_IMAGES if self.memory is None and large else self.memory
        card = member.card
        if memory is None:
            return card.tiles
        key = (id(member.model), card.tiles, card.test_time, card.network.objects, memory, large, networks)
        if key not in self._needs:
            self._needs[key] = self._fitting(member, memory, large=large, networks=networks)
        fitting = self._needs[key]
        # asked for more memory, tiles may be larger than planned; far larger ones would gain little
        largest = card.tiles.size if self.memory is None else max(card.tiles.size, _LARGEST_TILE)
        sizes = {
            "size": min(fitting.size, largest),
            "whole_below": min(fitting.whole_below, card.tiles.whole_below),
        }
        cut = fitting.model_copy(update=sizes)
        if not large or not self.exact(member):  # blended tiles lie on no grid, and are other numbers
            return cut
        grid = _grid_of(cut.size, card.tiles.size)
        # whole blocks of the grid, or an equal part of one
        return cut.model_copy(update={"size": cut.size // grid * grid or _power(cut.size)})

    def exact(self, member: Member) -> bool:
        """Whether tiles of a member give the numbers of the whole image, whatever their size."""
        network, tiles, key = member.card.network, member.card.tiles, id(member.model)
        if network.halo is None or tiles.mode == "blended":
            return False
        if key not in self._statistics:
            from uvala.models.facts import count_statistics  # its import takes time

            self._statistics[key] = count_statistics(member.model, network.in_channels)
        return self._statistics[key] <= tiles.statistics

    def backend_of(self, member: Member) -> str:
        """The name of what computes a member; with "auto", what was chosen."""
        return self._with_backend(member)[1]

    def _alike(self, members: Sequence[Member]) -> list[TileConfig]:
        """The tiles of members that see one image: those of the one that has room for the smallest."""
        tiles = [self.tiles(member, large=True, networks=len(members)) for member in members]
        side = min(each.size for each in tiles)
        return [each.model_copy(update={"size": side}) for each in tiles]

    def _fitting(self, member: Member, memory: int, *, large: bool, networks: int) -> TileConfig:
        from uvala.tiling.memory import tile_within

        use, channels = member.on(self.device).in_tiles(), member.card.network.in_channels
        try:
            return tile_within(use, channels, _for_networks(memory), networks=networks, large=large)
        except ConfigError as error:
            raise ConfigError(
                found=f"{memory / 1e6:,.0f} MB to predict in, which leave {error.found}",
                expected=f"an amount that leaves {error.expected}",
                fix=error.fix,
            ) from None

    def _with(self, member: Member, tiles: TileConfig) -> Member:
        """The member with its backend and these tiles."""
        return Member(self._with_backend(member)[0], member.card.model_copy(update={"tiles": tiles}))

    def _with_backend(self, member: Member) -> tuple[nn.Module, str]:
        """The network as the backend computes it, and the backend's name."""
        if self.backend == "torch":
            return member.model, "torch"
        key = id(member.model)
        if key not in self._ready:
            self._ready[key] = self._accelerated(member)
        return self._ready[key]

    def _accelerated(self, member: Member) -> tuple[nn.Module, str]:
        # each takes its time to import, and most predictions need neither
        from uvala.backends.accelerate import accelerate
        from uvala.backends.choose import choose

        channels, tiles = member.card.network.in_channels, self.tiles(member)
        multiple, halo = member.card.network.multiple, member.card.network.halo
        # as tiles read, for what is compiled for one size (`tiling.geometry`)
        context = up(tiles.overlap // 2 if halo is None else halo, multiple)
        end = context + up(tiles.size, multiple)
        tile, kept = Size(end + context, end + context), Box(context, context, end, end)
        name = self.settled.get(id(member.model), self.backend)
        if name != "auto":
            return accelerate(member.model, name, in_channels=channels, tile=tile), name
        choice = choose(
            member.model,
            "auto",
            in_channels=channels,
            tile=tile,
            megapixels=self.megapixels,
            torch_share=self._share_of_torch(member, tiles, tile, kept),
        )
        return choice.module, choice.name

    def _share_of_torch(self, member: Member, tiles: TileConfig, tile: Size, kept: Box) -> float:
        """What torch computes of a tile of which `kept` is wanted; all of images that are not cut."""
        cut = self.size is not None and self.size.height * self.size.width > tiles.whole_below
        if not cut or not self.exact(member):
            return 1.0
        from uvala.tiling.demand import demand_of

        demand = demand_of(member.model, member.card.network.in_channels, tile, kept)
        return demand.share if demand.pays else 1.0
