"""Label maps: what every function of objects asks of its input, and where the objects lie."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import Box, LabelMap
from uvala.errors import ShapeError

__all__ = ["numbered", "object_boxes", "require_labels"]


def require_labels(labels: NDArray[Any]) -> None:
    """Raise ShapeError unless `labels` are object numbers: integers [H, W], none negative."""
    if labels.ndim != 2 or labels.dtype.kind not in "ui" or (labels.size and labels.min() < 0):
        raise ShapeError(
            found=f"a label map of shape {labels.shape} and type {labels.dtype}"
            + (f" with values from {labels.min()}" if labels.dtype.kind == "i" and labels.size else ""),
            expected="object numbers: integers [H, W], 0 for background, a positive one per object",
            fix="number the objects of a mask with connected_components first",
        )


def numbered(labels: NDArray[Any]) -> tuple[LabelMap, NDArray[np.int64]]:
    """The same objects numbered 1..n without gaps, int32 [H, W], and the number that each had, int64 [n].

    labels: integers [H, W], 0 background, the numbers any positive ones; their order is kept. Raises
    ShapeError for other shapes and types and for negative numbers.
    """
    require_labels(labels)
    last = int(labels.max(initial=0))
    if last > 4 * labels.size:  # a count per number would take more memory than the map itself
        numbers, places = np.unique(labels, return_inverse=True)
        places = places.reshape(labels.shape) + (numbers[0] > 0 if numbers.size else 0)
        return places.astype(np.int32), numbers[numbers > 0].astype(np.int64)
    flat = labels.astype(np.intp, copy=False)
    present = np.bincount(flat.ravel(), minlength=1) > 0
    present[0] = False
    names = np.flatnonzero(present).astype(np.int64)
    if len(names) == last:
        return labels.astype(np.int32, copy=False), names
    return np.cumsum(present, dtype=np.int32)[flat] * (flat > 0), names


def object_boxes(consecutive: LabelMap) -> list[Box]:
    """The smallest box around each object of a map numbered without gaps, in the order of the numbers."""
    slices = ndimage.find_objects(consecutive) if consecutive.size else []
    return [Box(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in slices]
