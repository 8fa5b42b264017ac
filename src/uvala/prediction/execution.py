"""What computes the networks of a prediction, and in how much memory."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from uvala.arrays import Size
from uvala.errors import ConfigError
from uvala.prediction.ensemble import Member
from uvala.runs.inference import activation
from uvala.tiling.config import TileConfig
from uvala.tiling.tta import views_of

__all__ = ["LARGE_IMAGES", "Cutting", "Execution", "cutting_of", "parse_memory"]

LARGE_IMAGES = 2 * 10**9
"""Bytes that predicting a large image may take besides the weights, where nobody says how many."""

# Of these, what all but the network takes: what is loaded (0.8 GB with torch 2.15), decoded
# chunks, blocks on their way to the disk. However little there is, the network gets some of it.
_ASIDE, _LEAST_SHARE = 13 * 10**8, 0.3

_WIDEST_GRID = 1024  # pixels; larger chunks are no faster to read and to write
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

    said: in words, what the last bits of its numbers depend on.
    """

    grid: int
    said: str


def cutting_of(tiles: Sequence[TileConfig], device: torch.device) -> Cutting:
    """How an image is cut that several networks cut so."""
    said = [each.model_dump(mode="json") for each in tiles]
    return Cutting(min(_grid_of(each) for each in tiles), f"{said} on {device}")


def _grid_of(tiles: TileConfig) -> int:
    """The largest power of two that a tile holds."""
    return min(2 ** (tiles.size.bit_length() - 1), _WIDEST_GRID)


@dataclass
class Execution:
    """How networks are computed.

    device: where. backend: "torch", another of `uvala.backends`, or "auto" for the fastest of those that are
    installed and agree with torch. memory: bytes that predicting may take besides the weights; None: images
    are cut as the card says, and large ones as 2 GB allow. megapixels: about how much there is to predict;
    for little, "auto" does not look for what is fastest.
    """

    device: torch.device
    backend: str = "torch"
    memory: int | None = None
    megapixels: float | None = None
    _ready: dict[int, tuple[nn.Module, str]] = field(default_factory=dict, init=False)
    _needs: dict[Any, TileConfig] = field(default_factory=dict, init=False)

    def require_usable(self, members: Sequence[Member]) -> None:
        """UnknownNameError for a backend of another name, BackendError for one that is not installed."""
        if self.backend in ("auto", "torch"):
            return
        from uvala.backends.accelerate import require_usable

        for member in members:
            require_usable(member.model, self.backend)

    def prepared(self, member: Member, large: Size | None = None) -> Member:
        """The member as it is computed: its tiles cut to the memory, its network with the backend.

        large: size of an image that is predicted block by block. ConfigError if no tile fits the memory.
        """
        model, _ = self._with_backend(member)
        return Member(model, member.card.model_copy(update={"tiles": self.tiles(member, large)}))

    def tiles(self, member: Member, large: Size | None = None) -> TileConfig:
        """How images are cut for a member; `large` as of `prepared`."""
        memory = LARGE_IMAGES if self.memory is None and large else self.memory
        card = member.card
        if memory is None:
            return card.tiles
        width = large.width if large else 0
        key = (id(member.model), card.tiles, card.test_time, card.network.objects, memory, width)
        if key not in self._needs:
            self._needs[key] = self._fitting(member, memory, large)
        fitting = self._needs[key]
        # asked for more memory, tiles may be larger than planned; far larger ones would gain little
        largest = card.tiles.size if self.memory is None else max(card.tiles.size, _LARGEST_TILE)
        sizes = {
            "size": min(fitting.size, largest),
            "whole_below": min(fitting.whole_below, card.tiles.whole_below),
        }
        cut = fitting.model_copy(update=sizes)
        grid = _grid_of(cut)
        return cut.model_copy(update={"size": cut.size // grid * grid}) if large else cut

    def backend_of(self, member: Member) -> str:
        """The name of what computes a member; with "auto", what was chosen."""
        return self._with_backend(member)[1]

    def _fitting(self, member: Member, memory: int, large: Size | None) -> TileConfig:
        from uvala.tiling.memory import tile_within

        card = member.card
        try:
            return tile_within(
                member.model,
                card.network.in_channels,
                card.tiles,
                max(memory - _ASIDE, int(memory * _LEAST_SHARE)),
                halo=card.network.halo,
                multiple=card.network.multiple,
                activate=activation(card.network.objects, card.temperature),
                views=len(views_of(card.test_time)),
                size=large,
                device=self.device,
            )
        except ConfigError as error:
            raise ConfigError(
                found=f"{memory / 1e6:,.0f} MB to predict in, which leave {error.found}",
                expected=error.expected,
                fix=error.fix,
            ) from None

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
        side = tiles.size + 2 * (member.card.network.halo or 0)
        tile = Size(side, side)
        if self.backend != "auto":
            return accelerate(member.model, self.backend, in_channels=channels, tile=tile), self.backend
        choice = choose(member.model, "auto", in_channels=channels, tile=tile, megapixels=self.megapixels)
        return choice.module, choice.name
