"""From the numbers of a file to the numbers that a network sees: about -1 to 1, whatever the instrument."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from uvala.arrays import ImageArray
from uvala.config import Config

__all__ = ["LIMIT", "Normalisation", "normalise", "scale_of"]

LIMIT = 3.0
"""Values are clipped to -LIMIT..LIMIT: a hot pixel of a camera must not drown the image."""

_MOST_PIXELS = 1_000_000  # percentiles of more pixels differ in the fourth digit and cost seconds


class Normalisation(Config):
    """How intensities are scaled: `low` becomes -1 and `high` becomes 1, channel by channel."""

    by: Literal["dataset", "image"] = Field(
        "dataset", description="whose percentiles set the scale: those of the training set, or of each image"
    )
    low: tuple[float, ...] = Field((), description="darkest level of each channel, in units of the file")
    high: tuple[float, ...] = Field((), description="brightest level of each channel, in units of the file")
    percentiles: tuple[float, float] = Field(
        (0.5, 99.5), description="which percentiles are taken as the darkest and the brightest level"
    )


def scale_of(image: ImageArray, settings: Normalisation) -> Normalisation:
    """The settings with `low` and `high` fixed for this image: its parts are scaled as the whole is."""
    if settings.by == "dataset":
        return settings
    low, high = _levels(image, settings.percentiles)
    return settings.model_copy(update={"by": "dataset", "low": low, "high": high})


def normalise(image: ImageArray, settings: Normalisation) -> NDArray[np.float32]:
    """The image as a network sees it: float32 [C, H, W] in -3..3, most of it in -1..1.

    image: any real dtype [C, H, W]. Values that are not finite become the lowest level.
    """
    fixed = scale_of(image, settings)
    low, high = np.asarray(fixed.low, np.float32), np.asarray(fixed.high, np.float32)
    half = (high - low) / 2
    # a constant channel has no scale of its own; it becomes 0 everywhere instead of a division by zero
    half = np.where(half > 0, half, np.float32(1))[:, None, None]
    middle = ((low + high) / 2)[:, None, None]
    scaled = ((np.asarray(image, np.float32) - middle) / half).astype(np.float32, copy=False)
    if image.dtype.kind == "f":
        scaled = np.nan_to_num(scaled, copy=False, nan=-1.0, posinf=LIMIT, neginf=-LIMIT)
    return np.clip(scaled, -LIMIT, LIMIT, out=scaled)


def _levels(
    image: ImageArray, percentiles: tuple[float, float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    flat = image.reshape(len(image), -1)
    step = max(1, flat.shape[1] // _MOST_PIXELS)
    levels = []
    for channel in flat[:, ::step]:
        finite = channel[np.isfinite(channel)]
        levels.append(np.percentile(finite, percentiles) if finite.size else (0.0, 0.0))
    return tuple(float(low) for low, _ in levels), tuple(float(high) for _, high in levels)
