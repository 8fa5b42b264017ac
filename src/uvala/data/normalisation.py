"""The setting of how intensities are scaled; what it does stands in normalise.py."""

from typing import Literal

from pydantic import Field

from uvala.config import Config

__all__ = ["Normalisation"]


class Normalisation(Config):
    """How intensities are scaled: `low` becomes -1 and `high` becomes 1, channel by channel."""

    by: Literal["dataset", "image"] = Field(
        "dataset", description="whose percentiles set the scale: those of the training set, or of each image"
    )
    low: tuple[float, ...] = Field((), description="darkest level of each channel, in units of the file")
    high: tuple[float, ...] = Field((), description="brightest level of each channel, in units of the file")
