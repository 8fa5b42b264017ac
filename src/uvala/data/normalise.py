"""From the numbers of a file to the numbers that a network sees: about -1 to 1, whatever the instrument."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from uvala.arrays import ImageArray
from uvala.data.image_facts import MOST_PIXELS, PERCENTILES
from uvala.data.normalisation import Normalisation

__all__ = ["denormalise", "normalise", "scale_of"]

_BLOCK = 2**18  # pixels that are summed up at a time, in double precision: 2 MB


def scale_of(image: ImageArray, settings: Normalisation) -> Normalisation:
    """The settings with `low` and `high` fixed for this image: its parts are scaled as the whole is."""
    if settings.by == "dataset":
        return settings
    low, high = _LEVELS[settings.levels](image)
    return settings.model_copy(update={"by": "dataset", "low": low, "high": high})


def normalise(
    image: ImageArray, settings: Normalisation, *, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The image as a network sees it: float32 [C, H, W], most of it in -1..1, none beyond `settings.limit`.

    image: any real dtype [C, H, W]. NaN becomes -1, infinities the limit (without one, the largest float).
    out: where to put it, instead of new memory.
    """
    fixed = scale_of(image, settings)
    middle, half = _middle_and_half(fixed)
    if fixed.reverse_channels:
        image, middle, half = image[::-1], middle[::-1], half[::-1]
    result = np.empty(image.shape, np.float32) if out is None else out
    # float32 has 24 bits: wider numbers must lose their offset first
    exact = np.float32 if image.dtype.itemsize <= 2 else np.float64
    # in place: half the time of new memory for each of the steps
    scaled = result if exact is np.float32 else np.empty(image.shape, np.float64)
    np.subtract(image, middle.astype(exact), out=scaled)
    np.divide(scaled, half.astype(exact), out=scaled)
    if image.dtype.kind == "f":
        end = fixed.limit or float(np.finfo(np.float32).max)
        np.copyto(scaled, -1.0, where=np.isnan(scaled))
        np.clip(scaled, -end, end, out=scaled)
    elif fixed.limit:
        np.clip(scaled, -fixed.limit, fixed.limit, out=scaled)
    if scaled is not result:
        result[...] = scaled
    return result


def denormalise(values: NDArray[np.float32], settings: Normalisation, dtype: DTypeLike) -> ImageArray:
    """Normalised images [..., C, H, W] in the numbers of their file: of `dtype`, or float32 for any float.

    settings: what `normalise` scaled with, as `scale_of` gives it. What was clipped stays clipped; integers
    are rounded and kept in their range.
    """
    assert settings.by == "dataset", "levels that are fixed"
    kind = np.dtype(dtype)
    middle, half = _middle_and_half(settings)
    if settings.reverse_channels:
        values = values[..., ::-1, :, :]
    numbers = values * half + middle
    if kind.kind in "ui":
        numbers = numbers.round().clip(np.iinfo(kind).min, np.iinfo(kind).max)
    return numbers.astype(np.float32 if kind.kind == "f" else kind)


def _middle_and_half(fixed: Normalisation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What becomes 0, and how far from it becomes 1, of each channel of a file: float64 [C, 1, 1]."""
    low, high = (np.array(level, np.float64)[:, None, None] for level in (fixed.low, fixed.high))
    # a constant channel has no scale of its own; it becomes 0 everywhere instead of a division by zero
    return (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)


def _percentiles(image: ImageArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    flat = image.reshape(len(image), -1)
    step = max(1, flat.shape[1] // MOST_PIXELS)
    levels = []
    for channel in flat[:, ::step]:
        finite = channel[np.isfinite(channel)]
        levels.append(np.percentile(finite, PERCENTILES) if finite.size else (0.0, 0.0))
    return tuple(float(low) for low, _ in levels), tuple(float(high) for _, high in levels)


def _deviation(image: ImageArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pairs = [_mean_and_spread(channel) for channel in image]
    return tuple(mean - spread for mean, spread in pairs), tuple(mean + spread for mean, spread in pairs)


def _mean_and_spread(channel: NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation of what is finite in a channel [H, W]; 0 and 0 where nothing is."""
    pixels = sum(values.size for values in _finite(channel))
    if not pixels:
        return 0.0, 0.0
    mean = sum(float(values.sum()) for values in _finite(channel)) / pixels
    # around the mean, in another pass: the mean of squares less the square of the mean would lose digits
    squares = sum(float(np.square(values - mean).sum()) for values in _finite(channel))
    return mean, math.sqrt(squares / pixels)


def _finite(channel: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """The finite numbers of a channel [H, W], float64, some rows at a time: a whole one may be large."""
    rows = max(1, _BLOCK // channel.shape[1])
    for top in range(0, len(channel), rows):
        part = channel[top : top + rows]
        yield part[np.isfinite(part)].astype(np.float64)


_LEVELS = {"percentiles": _percentiles, "deviation": _deviation}
