"""The settings of tiling."""

from pydantic import Field

from uvala.config import Config

__all__ = ["SMALLEST_TILE", "TileConfig"]

SMALLEST_TILE = 32
"""Below this a tile is nearly all context: what does not fit then will not fit at all."""


class TileConfig(Config):
    """How large images are cut. Any values give the same numbers where a network has a finite halo."""

    size: int = Field(
        512,
        ge=SMALLEST_TILE,
        description="side of the square that a tile contributes, pixels; the network's context comes on top",
    )
    whole_below: int = Field(
        1024 * 1024, ge=0, description="images of up to this many pixels run in one piece, without tiles"
    )
    batch: int = Field(1, ge=1, description="tiles that the network sees at once")
    overlap: int = Field(
        128, ge=0, description="pixels over which neighbours are blended where a network has no finite halo"
    )
