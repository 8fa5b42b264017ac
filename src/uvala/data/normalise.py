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


def normalise(
    image: ImageArray, settings: Normalisation, *, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """The image as a network sees it: float32 [C, H, W], most of it in -1..1, none beyond `settings.limit`.

    image: any real dtype [C, H, W]. NaN becomes -1, infinities the limit (without one, the largest float).
    out: where to put it, instead of new memory.
    """
    fixed = scale_of(image, settings)
    low, high = np.array(fixed.low)[:, None, None], np.array(fixed.high)[:, None, None]
    if fixed.reverse_channels:
        image, low, high = image[::-1], low[::-1], high[::-1]
    # a constant channel has no scale of its own; it becomes 0 everywhere instead of a division by zero
    half = np.where(high > low, (high - low) / 2, 1.0)
    middle = (low + high) / 2
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
    elif fixed.limit is not None:
        np.clip(scaled, -fixed.limit, fixed.limit, out=scaled)
    if scaled is not result:
        result[...] = scaled
    return result


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
