"""Centroids of classes, in an image and over many: whether sky keeps to the top, a scale bar to the left."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from uvala.arrays import IGNORE, ClassMap
from uvala.config import Config

__all__ = ["Leaning", "class_centroids", "leanings_of"]

_MOST = 1024  # rows, and columns, about, that are looked at: more change the third digit


class Leaning(Config):
    """Where a class lies, over some images; offsets of its centroid in image heights and widths."""

    images: int = Field(ge=0, description="images that hold the class")
    down: float = Field(description="mean offset of its centroid from the image's centre, downwards")
    down_agreement: float = Field(ge=0, le=1, description="share of images that lie on that side")
    right: float = Field(description="mean offset of its centroid from the image's centre, to the right")
    right_agreement: float = Field(ge=0, le=1, description="share of images that lie on that side")


def class_centroids(classes: ClassMap, num_classes: int) -> NDArray[np.float64]:
    """Centroid of each class from the image's centre, in image sizes, [K, 2] (y, x); NaN where absent.

    Of a large mask, rows and columns at equal distances are looked at.
    """
    steps = (max(1, extent // _MOST) for extent in classes.shape)
    down, right = (slice(step // 2, None, step) for step in steps)
    height, width = classes.shape
    rows = ((np.arange(height) + 0.5) / height - 0.5)[down]
    columns = ((np.arange(width) + 0.5) / width - 0.5)[right]
    classes = classes[down, right]
    known = classes != IGNORE
    rows = np.broadcast_to(rows[:, None], classes.shape)[known]
    columns = np.broadcast_to(columns, classes.shape)[known]
    flat = classes[known]
    pixels = np.bincount(flat, minlength=num_classes).astype(float)
    pixels[pixels == 0] = np.nan
    y = np.bincount(flat, weights=rows, minlength=num_classes)
    x = np.bincount(flat, weights=columns, minlength=num_classes)
    return np.stack([y, x], axis=1) / pixels[:, None]


def leanings_of(centroids: Iterable[NDArray[np.float64]]) -> tuple[Leaning, ...]:
    """The leaning of each class from its centroids [K, 2] in some images, one at least."""
    of_class = np.stack(list(centroids), axis=1)  # [K, N, 2]
    return tuple(_leaning(offsets[np.isfinite(offsets[:, 0])]) for offsets in of_class)


def _leaning(offsets: NDArray[np.float64]) -> Leaning:
    """offsets: float [N, 2] (y, x)."""
    if not len(offsets):
        return Leaning(images=0, down=0.0, down_agreement=0.0, right=0.0, right_agreement=0.0)
    mean = offsets.mean(axis=0)
    agreement = (np.sign(offsets) == np.sign(mean)).mean(axis=0)
    return Leaning(
        images=len(offsets),
        down=float(mean[0]),
        down_agreement=float(agreement[0]),
        right=float(mean[1]),
        right_agreement=float(agreement[1]),
    )
