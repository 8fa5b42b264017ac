"""From the numbers of a file to the numbers that a network sees: about -1 to 1, whatever the instrument."""

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ImageArray
from uvala.data.image_facts import MOST_PIXELS, PERCENTILES
from uvala.data.normalisation import Normalisation

__all__ = ["normalise", "scale_of"]


def scale_of(image: ImageArray, settings: Normalisation) -> Normalisation:
    """The settings with `low` and `high` fixed for this image: its parts are scaled as the whole is."""
    if settings.by == "dataset":
        return settings
    low, high = _LEVELS[settings.levels](image)
    return settings.model_copy(update={"by": "dataset", "low": low, "high": high})


def normalise(image: ImageArray, settings: Normalisation) -> NDArray[np.float32]:
    """The image as a network sees it: float32 [C, H, W], most of it in -1..1, none beyond `settings.limit`.

    image: any real dtype [C, H, W]. NaN becomes -1, infinities the limit (without one, the largest float).
    """
    fixed = scale_of(image, settings)
    low, high = np.array(fixed.low)[:, None, None], np.array(fixed.high)[:, None, None]
    # a constant channel has no scale of its own; it becomes 0 everywhere instead of a division by zero
    half = np.where(high > low, (high - low) / 2, 1.0)
    middle = (low + high) / 2
    if image.dtype.itemsize <= 2:
        scaled = (image.astype(np.float32) - middle.astype(np.float32)) / half.astype(np.float32)
    else:
        # float32 has 24 bits: wider numbers must lose their offset first
        scaled = (image.astype(np.float64) - middle) / half
    if image.dtype.kind == "f":
        end = fixed.limit or float(np.finfo(np.float32).max)
        scaled = np.nan_to_num(scaled, copy=False, nan=-1.0, posinf=end, neginf=-end)
    if fixed.limit is not None:
        scaled = np.clip(scaled, -fixed.limit, fixed.limit)
    return np.ascontiguousarray(scaled[::-1] if fixed.reverse_channels else scaled, np.float32)


def _percentiles(image: ImageArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    flat = image.reshape(len(image), -1)
    step = max(1, flat.shape[1] // MOST_PIXELS)
    levels = []
    for channel in flat[:, ::step]:
        finite = channel[np.isfinite(channel)]
        levels.append(np.percentile(finite, PERCENTILES) if finite.size else (0.0, 0.0))
    return tuple(float(low) for low, _ in levels), tuple(float(high) for _, high in levels)


def _deviation(image: ImageArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pairs = []
    for channel in image.reshape(len(image), -1):
        finite = channel[np.isfinite(channel)].astype(np.float64)
        pairs.append((float(finite.mean()), float(finite.std())) if finite.size else (0.0, 0.0))
    return tuple(mean - spread for mean, spread in pairs), tuple(mean + spread for mean, spread in pairs)


_LEVELS = {"percentiles": _percentiles, "deviation": _deviation}
