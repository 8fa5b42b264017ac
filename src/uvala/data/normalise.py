"""From the numbers of a file to the numbers that a network sees: about -1 to 1, whatever the instrument."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

from uvala.arrays import Box, ImageArray
from uvala.data.image_facts import MOST_PIXELS, PERCENTILES
from uvala.data.moments import moments_of
from uvala.data.normalisation import Normalisation
from uvala.images.lazy import LazyImage, in_memory

__all__ = ["denormalise", "normalise", "other_units", "scale_of"]

_PART = 2**9  # side of the squares that are summed up at a time; in double precision 2 MB

# Side of what is read at a time of an image that stays in its file: as tiles do it, since strips that are as
# wide as the image must be kept for all rows of a square.
_SQUARE = 2 * _PART

_Levels = tuple[tuple[float, ...], tuple[float, ...]]


_FAR = 8  # times the range of the training set: a bright image of the same kind is not so far above it
_UNIT_RANGE = 1.0  # where floats that were scaled end


def other_units(image: LazyImage, settings: Normalisation) -> str | None:
    """A sentence where an image is of other units than those trained on: more bits, or scaled to 0 to 1.

    Looked at is the middle of the image, of 512 pixels a side at most. An image whose own levels set the
    scale has no units; what is dark, bright or of one value is no reason.
    """
    if settings.by != "dataset" or not settings.low or max(settings.high) <= min(settings.low):
        return None
    top, left = (max(0, (length - _PART) // 2) for length in image.size)
    height, width = (min(_PART, length) for length in image.size)
    values = np.asarray(image.read(Box(top, left, top + height, left + width)))
    numbers = values[np.isfinite(values)].astype(np.float64)
    if not numbers.size or numbers.min() == numbers.max():
        return None
    low, high = min(settings.low), max(settings.high)
    highest = float(np.percentile(numbers, 99.5))
    scaled = values.dtype.kind == "f" and numbers.min() >= 0 and numbers.max() <= _UNIT_RANGE
    if highest > high + _FAR * (high - low):
        how = "far above"
    elif scaled and high - low > _FAR * _UNIT_RANGE:
        how = "far below"
    else:
        return None
    return (
        f"values {how} the {low:.4g} to {high:.4g} of the images trained on: bring images to the same units,"
        " or train with normalisation.by=image"
    )


def scale_of(image: ImageArray | LazyImage, settings: Normalisation) -> Normalisation:
    """The settings with `low` and `high` fixed for this image: its parts are scaled as the whole is.

    An image that stays in its file is read once, from top to bottom, and gives the very numbers of the array.
    A channel without contrast has no levels of its own: those of the training set, if they are known.
    """
    if settings.by == "dataset":
        return settings
    low, high = _LEVELS[settings.levels](image if isinstance(image, LazyImage) else in_memory(image))
    if len(settings.low) == len(low):
        own, known = (zip(*pair, strict=True) for pair in ((low, high), (settings.low, settings.high)))
        pairs = [each if each[1] > each[0] else other for each, other in zip(own, known, strict=True)]
        low, high = zip(*pairs, strict=True)
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


def _percentiles(image: LazyImage) -> _Levels:
    levels = []
    for channel in _sample(image):
        finite = channel[np.isfinite(channel)]
        levels.append(np.percentile(finite, PERCENTILES) if finite.size else (0.0, 0.0))
    return tuple(float(low) for low, _ in levels), tuple(float(high) for _, high in levels)


def _sample(image: LazyImage) -> ImageArray:
    """About a million pixels at equal distances, row after row: [C, N]. All of them in a small image."""
    pixels, width = image.size.height * image.size.width, image.size.width
    step = max(1, pixels // MOST_PIXELS)
    if image.whole is not None:
        return image.whole.reshape(image.channels, -1)[:, ::step]
    sample = np.empty((image.channels, -(-pixels // step)), image.dtype)
    for box, block in _blocks(image):
        taken = np.arange(-(-box.top * width // step), -(-box.bottom * width // step))
        rows, columns = np.divmod(taken * step, width)
        inside = (columns >= box.left) & (columns < box.right)
        sample[:, taken[inside]] = block[:, rows[inside] - box.top, columns[inside] - box.left]
    return sample


def _deviation(image: LazyImage) -> _Levels:
    moments = [moments_of(image.dtype) for _ in range(image.channels)]
    for _, block in _blocks(image):
        for part in _parts(block):
            for channel, each in zip(part, moments, strict=True):
                each.add(channel)
    pairs = [each.mean_and_spread() for each in moments]
    return tuple(mean - spread for mean, spread in pairs), tuple(mean + spread for mean, spread in pairs)


def _blocks(image: LazyImage) -> Iterator[tuple[Box, ImageArray]]:
    """The image in squares, row by row, each with its place."""
    height, width = image.size
    for top in range(0, height, _SQUARE):
        for left in range(0, width, _SQUARE):
            box = Box(top, left, min(top + _SQUARE, height), min(left + _SQUARE, width))
            yield box, image.read(box)


def _parts(block: ImageArray) -> Iterator[ImageArray]:
    """A square in smaller ones, which are cut in the same places whatever file or array the image lies in."""
    for top in range(0, block.shape[1], _PART):
        for left in range(0, block.shape[2], _PART):
            yield block[:, top : top + _PART, left : left + _PART]


_LEVELS = {"percentiles": _percentiles, "deviation": _deviation}
