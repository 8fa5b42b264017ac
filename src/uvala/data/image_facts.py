"""What one image holds: size, channels, levels, and what tells it from its copies."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ImageArray, Size
from uvala.data.channels import convert_channels
from uvala.images.read import Image

__all__ = ["MOST_PIXELS", "PERCENTILES", "THUMBNAIL", "ImageFacts", "look_at_image"]

PERCENTILES = (0.5, 99.5)
"""What is taken as the darkest and the brightest level: a few hot or dead pixels must not set the scale."""

THUMBNAIL = 32
"""Side of the thumbnail by which near duplicates are told; 2 KB for each image."""

_MOST_IN_THUMBNAIL = 16_000_000

MOST_PIXELS = 1_000_000
"""More pixels change the percentiles in the fourth digit and take seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageFacts:
    """What one image holds; low, high, mean and std for each channel, in units of the file.

    channels: as in the file. finite: whether no pixel is NaN or infinite; blank: whether
    all are. distinct: values of the first
    channel, None where they were not counted. content: a hash of the pixels. thumbnail: float16 [32 * 32],
    block means over the channels, of mean 0 and norm 1; 0 throughout if the image is constant.
    """

    size: Size
    channels: int
    dtype: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    finite: bool
    constant: bool
    distinct: int | None
    content: str
    thumbnail: NDArray[np.float16]
    notes: tuple[str, ...] = ()
    blank: bool = False


def look_at_image(image: Image, channels: int | None = None) -> ImageFacts:
    """The facts of an image as read; its levels are those after conversion to `channels`, where possible."""
    array = image.array
    converts = channels is not None and {len(array), channels} == {1, 3}
    array = convert_channels(array, channels) if converts else array
    finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
    levels = [_levels(channel, finite=finite) for channel in array]
    low, high, mean, std = zip(*(level[:4] for level in levels), strict=True)
    return ImageFacts(
        size=Size(array.shape[1], array.shape[2]),
        channels=len(image.array),
        dtype=str(array.dtype),
        low=low,
        high=high,
        mean=mean,
        std=std,
        finite=finite,
        constant=all(_constant(channel, finite=finite) for channel in array),
        distinct=levels[0][4],
        content=_hash(image.array),
        thumbnail=_thumbnail(array, finite=finite),
        notes=image.notes,
        blank=not finite and not np.isfinite(array).any(),
    )


def _constant(channel: NDArray[Any], *, finite: bool) -> bool:
    values = channel if finite else channel[np.isfinite(channel)]
    return bool((values == values.flat[0]).all()) if values.size else True


def _hash(array: ImageArray) -> str:
    # two images of the same bytes but another shape are not the same
    content = hashlib.blake2b(f"{array.shape} {array.dtype}".encode(), digest_size=16)
    content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def _levels(channel: NDArray[Any], *, finite: bool) -> tuple[float, float, float, float, int | None]:
    """Low, high, mean, standard deviation, and the number of distinct values where that is cheap to know."""
    flat = channel.ravel()
    flat = flat[:: max(1, flat.size // MOST_PIXELS)]
    if flat.dtype in (np.uint8, np.uint16):
        counts = np.bincount(flat)
        cumulative = np.cumsum(counts)
        places = [percent / 100 * (flat.size - 1) for percent in PERCENTILES]
        low, high = np.searchsorted(cumulative, places, side="right")
        values = np.arange(len(counts))
        mean = float(counts @ values) / flat.size
        variance = float(counts @ (values - mean) ** 2) / flat.size
        return float(low), float(high), mean, float(np.sqrt(variance)), int(np.count_nonzero(counts))
    if not finite:
        flat = flat[np.isfinite(flat)]
    if not flat.size:
        return 0.0, 0.0, 0.0, 0.0, None
    low, high = np.percentile(flat, PERCENTILES)
    wide = flat.astype(np.float64)
    return float(low), float(high), float(wide.mean()), float(wide.std()), None


def _thumbnail(array: ImageArray, *, finite: bool) -> NDArray[np.float16]:
    step = max(
        1, int((array[0].size / _MOST_IN_THUMBNAIL) ** 0.5)
    )  # a copy in float32 of gigapixels would be large
    grey = array[:3, ::step, ::step].sum(axis=0, dtype=np.float32)
    if not finite:
        grey = np.nan_to_num(grey, posinf=0.0, neginf=0.0)
    for axis in (0, 1):
        length = grey.shape[axis]
        edges = np.arange(THUMBNAIL) * length // THUMBNAIL
        widths = np.maximum(np.diff(edges, append=length), 1)
        grey = np.add.reduceat(grey, edges, axis=axis) / np.expand_dims(widths, 1 - axis).astype(np.float32)
    grey -= grey.mean()
    norm = float(np.sqrt((grey.astype(np.float64) ** 2).sum()))
    flat = (
        grey.ravel() / norm if norm > 1e-6 * max(1.0, float(np.abs(array).max())) else np.zeros(THUMBNAIL**2)
    )
    return flat.astype(np.float16)
