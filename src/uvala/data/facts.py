"""What the data are like: what the plan is made from and what the report tells."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from uvala.arrays import IGNORE, MAX_CLASSES, Size
from uvala.config import Config
from uvala.data.duplicates import neighbours_alike
from uvala.data.encoding_table import class_pixels
from uvala.data.image_facts import ImageFacts
from uvala.data.mask_facts import MaskFacts
from uvala.data.masks import MaskEncoding
from uvala.data.object_facts import ObjectFacts

__all__ = ["Facts", "gather_facts"]

_LARGEST_SPREAD = 1000.0  # of a black image nobody can say how much dimmer it is
_COMPARED = 100  # images, each with each other


class Facts(Config):
    """What the images and masks of a data set are like. Levels are in units of the files."""

    images: int = Field(ge=1, description="pairs of image and mask")
    smallest: Size = Field(description="height and width of the image with the fewest pixels")
    median: Size = Field(description="median height and median width")
    largest: Size = Field(description="height and width of the image with the most pixels")
    channels: int = Field(ge=1, description="channels of the images")
    dtype: str = Field(description="number format of most images")
    low: tuple[float, ...] = Field(
        description="darkest level of each channel: median over images, percentile 0.5"
    )
    high: tuple[float, ...] = Field(
        description="brightest level of each channel: median over images of percentile 99.5"
    )
    mean: tuple[float, ...] = Field(description="mean level of each channel, each image counted once")
    std: tuple[float, ...] = Field(
        description="standard deviation of each channel, within and between images"
    )
    brightness_spread: float = Field(
        ge=1,
        description="brightest level of bright images (percentile 95) over that of dim ones (percentile 5)",
    )
    class_shares: tuple[float, ...] = Field(
        description="share of each class in the pixels that are not ignored"
    )
    class_images: tuple[int, ...] = Field(description="masks that contain each class")
    ignored: float = Field(ge=0, le=1, description="share of pixels that are ignored")
    alike: bool = Field(
        description="whether neighbours in the order of names are alike, as slices or frames are"
    )
    likeness: float = Field(
        0.0, ge=-1, le=1, description="correlation of two images, made as small as 32x32 pixels, median"
    )
    objects: ObjectFacts | None = Field(
        None, description="what the things in the masks are like; nothing where nobody looked"
    )


def gather_facts(
    images: Sequence[ImageFacts], masks: Sequence[MaskFacts], encoding: MaskEncoding, channels: int
) -> Facts:
    """The facts of a data set from those of its files; channels: what all have, or are converted to."""
    low, high, mean, std = (
        np.array([getattr(image, field) for image in images]) for field in ("low", "high", "mean", "std")
    )
    pixels = np.zeros(256)
    occurs = np.zeros(256, int)
    for mask in masks:
        for index, number in class_pixels(mask, encoding).items():
            pixels[index] += number
            occurs[index] += 1
    labelled = pixels[:MAX_CLASSES].sum()
    sizes = sorted((image.size for image in images), key=lambda size: size.height * size.width)
    dtypes = [image.dtype for image in images]
    return Facts(
        images=len(images),
        smallest=sizes[0],
        median=Size(*(int(np.median([size[axis] for size in sizes])) for axis in (0, 1))),
        largest=sizes[-1],
        channels=channels,
        dtype=max(dict.fromkeys(dtypes), key=dtypes.count),
        low=_floats(np.median(low, axis=0)),
        high=_floats(np.median(high, axis=0)),
        mean=_floats(mean.mean(axis=0)),
        std=_floats(np.sqrt((std**2).mean(axis=0) + mean.var(axis=0))),
        brightness_spread=_spread(low, high),
        class_shares=_floats(pixels[: encoding.num_classes] / max(labelled, 1)),
        class_images=tuple(occurs[: encoding.num_classes].tolist()),
        ignored=float(pixels[IGNORE] / max(pixels.sum(), 1)),
        alike=neighbours_alike(images),
        likeness=_likeness(images),
    )


def _spread(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """How much brighter bright images are than dim ones, above a floor that negative levels would lower."""
    levels = high.max(axis=1) - min(0.0, float(low.min()))
    dim, bright = np.percentile(levels, (5, 95))
    if dim <= bright / _LARGEST_SPREAD:
        return _LARGEST_SPREAD if bright > 0 else 1.0
    return float(bright / dim)


def _likeness(images: Sequence[ImageFacts]) -> float:
    """Median correlation of the thumbnails of different images, from as many as say it to two digits."""
    some = images[:: max(1, len(images) // _COMPARED)]
    if len(some) < 2:
        return 0.0
    thumbnails = np.stack([image.thumbnail for image in some]).astype(np.float64)
    pairs = np.triu_indices(len(some), k=1)
    return float(np.clip(np.median((thumbnails @ thumbnails.T)[pairs]), -1, 1))


def _floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
