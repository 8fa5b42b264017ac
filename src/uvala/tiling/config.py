"""The settings of tiling."""

from typing import Literal

from pydantic import Field, model_validator

from uvala.config import Config

__all__ = ["SMALLEST_TILE", "TileConfig"]

SMALLEST_TILE = 32
"""Below this a tile is nearly all context: what does not fit then will not fit at all."""

_MOST_OVERLAP = 8  # times the size; a pixel is then computed 81 times


class TileConfig(Config):
    """How large images are cut. Any sizes give the same numbers where a network has a finite halo."""

    mode: Literal["exact", "blended"] = Field(
        "exact",
        description="exact: the numbers of the whole image, of every network that allows it; blended: of all"
        " networks the mean of tiles that overlap, an approximation, as other projects compute it",
    )
    size: int = Field(
        # unet of width 16 at 2048x2048, halo 94, 2 cores, relative to the whole image: 384 1.34, 512 1.15,
        # 768 1.19, 1024 1.08; at width 32 a tile of 1024 needs 1.0 GB, one of 512 half of it
        1024,
        ge=SMALLEST_TILE,
        description="side of the square that a tile contributes, pixels; the network's context comes on top",
    )
    whole_below: int = Field(
        # what a tile of 1024 with a context of 96 reads, so that neither needs more memory than the other
        1216 * 1216,
        ge=0,
        description="images of up to this many pixels run in one piece, without tiles",
    )
    batch: int = Field(1, ge=1, description="tiles that the network sees at once")
    statistics: int = Field(
        4,
        ge=0,
        description="numbers of the whole image (of instance norms, of squeezes) that are gathered first, in"
        " a pass each, so that tiles are exact; where a network takes more of them, tiles are blended",
    )
    overlap: int = Field(128, ge=0, description="pixels over which neighbours are blended, where they are")
    window: Literal["smooth", "gaussian"] = Field(
        "smooth",
        description="how much a pixel of a blended tile counts. smooth: less towards where the tile was cut;"
        " gaussian: by its distance from the middle, with a deviation of an eighth of the side",
    )

    @model_validator(mode="after")
    def _tiles_are_not_all_overlap(self) -> "TileConfig":
        most = _MOST_OVERLAP * self.size
        if self.mode == "blended" and self.overlap > most:
            raise ValueError(f"hardly a tile would be left of the image: set tiles.overlap to {most} at most")
        return self
