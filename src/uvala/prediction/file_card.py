"""What an exported file says of itself: how its run was used, and how images are brought to it."""

from pydantic import Field

from uvala.config import Config
from uvala.runs.card import Card

__all__ = ["FORMAT", "IMAGE", "KEY", "LEVELS", "MASK", "PROBABILITIES", "FileCard", "as_file_card"]

FORMAT = 2
"""Version of what is said; it rises when an older uvala could no longer read it."""

KEY = "uvala"
"""Under which name the card stands in a file's metadata, as JSON."""

IMAGE, LEVELS = "image", "levels"
"""Inputs: float32 [B, C, H, W] in units of the file; and, where each image is scaled by its own levels, what
becomes -1 and 1 of each channel, float32 [B, C, 2]: NaN for those of the image that is given."""

PROBABILITIES, MASK = "probabilities", "mask"
"""Outputs: float32 [B, K, H, W]; and, where it was asked for, the likeliest class, uint8 [B, H, W]. Between
them, [B, H, W], what else the network learnt: "borders" or "distance"."""


class FileCard(Config):
    """The card of an exported file.

    What is kept of a tile begins at a multiple of `multiple` and has `halo` pixels of context on each side, a
    multiple of the same; without a halo no tile gives the numbers of the whole image.
    """

    format: int = Field(FORMAT, description="version of this card")
    card: Card = Field(description="card of the run; for several networks, of all together")
    outputs: tuple[str, ...] = Field((PROBABILITIES,), description="what the file gives, in this order")
    levels: bool = Field(False, description="whether it wants the levels of each image")
    multiple: int = Field(1, ge=1, description="tiles begin at multiples of this, pixels")
    halo: int | None = Field(
        None,
        ge=0,
        description="context of a tile on each side, pixels, a multiple; none: no tile is exact",
    )
    padded_to: int = Field(1, ge=1, description="multiple that the network pads an image to by itself")
    slack: int = Field(0, ge=0, description="pixels that an image may lack of it and is taken as it is")
    networks: int = Field(1, ge=1, description="networks whose outputs are averaged inside")
    int8: bool = Field(False, description="whether weights and activations have 8 bits")


def as_file_card(text: str) -> FileCard | None:
    """The card in a file's metadata; None if it is of a version that this uvala does not know."""
    try:
        card = FileCard.model_validate_json(text)
    except ValueError:
        return None
    return card if card.format <= FORMAT else None
