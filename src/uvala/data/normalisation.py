"""The setting of how intensities are scaled; what it does stands in normalise.py."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from uvala.config import Config

__all__ = ["Normalisation"]


class Normalisation(Config):
    """How intensities are scaled: `low` becomes -1 and `high` becomes 1, channel by channel."""

    by: Literal["dataset", "image"] = Field(
        "dataset", description="whose percentiles set the scale: those of the training set, or of each image"
    )
    levels: Literal["percentiles", "deviation"] = Field(
        "percentiles",
        description="low and high of an image: its percentiles, or a standard deviation around its mean",
    )
    limit: float = Field(
        # a hot pixel of a camera must not drown the image
        3.0,
        ge=0,
        description="values beyond this on either side are clipped to it; 0: nothing is clipped",
    )
    reverse_channels: bool = Field(
        False, description="give the network the channels in reverse order: blue, green, red"
    )
    low: tuple[float, ...] = Field((), description="darkest level of each channel, in units of the file")
    high: tuple[float, ...] = Field((), description="brightest level of each channel, in units of the file")

    @field_validator("high")
    @classmethod
    def _above_low(cls, high: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        low = info.data.get("low", ())
        # equal is a constant channel
        if any(each < other for each, other in zip(high, low, strict=False)):
            raise ValueError(f"must not be below low, which is {list(low)}")
        return high

    @field_validator("limit", mode="before")
    @classmethod
    def _no_limit(cls, value: Any) -> Any:
        return 0.0 if value is None else value  # null in the cards of older versions
