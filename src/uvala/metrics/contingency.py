"""Two label maps laid over each other: how many pixels each pair of numbers shares, in one pass.

Both the partition scores and the object scores are read from this table. It holds only the pairs that
occur: two maps with 2,000 objects each have some thousand of them, not four million.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uvala.errors import ShapeError

__all__ = ["Contingency", "areas", "contingency", "require_counted", "require_labels", "require_same_shape"]

Integers = NDArray[np.int64]

DENSE = 4  # bins per pixel up to which counting into a dense table is fastest; beyond, a sparse table


@dataclass(frozen=True, eq=False)
class Contingency:
    """The pairs of numbers that share pixels, sorted by prediction, then truth.

    predicted_ids int64 [P], true_ids int64 [T]: the numbers that occur, ascending, 0 among them where it
    does. predicted, true: intp [N], the places of a pair's numbers in those two. pixels: int64 [N], all
    above 0.
    """

    predicted_ids: Integers
    true_ids: Integers
    predicted: NDArray[np.intp]
    true: NDArray[np.intp]
    pixels: Integers

    @property
    def predicted_areas(self) -> Integers:
        """Pixels of each predicted number: int64 [P]."""
        return _sums(self.predicted, self.pixels, self.predicted_ids.size)

    @property
    def true_areas(self) -> Integers:
        """Pixels of each true number: int64 [T]."""
        return _sums(self.true, self.pixels, self.true_ids.size)


def contingency(prediction: NDArray[Any], truth: NDArray[Any]) -> Contingency:
    """Pixels of each pair of numbers that occurs. prediction, truth: integers from 0, of one shape."""
    predicted_ids, rows = _numbered(prediction.ravel())
    true_ids, columns = _numbered(truth.ravel())
    shape = (predicted_ids.size, true_ids.size)
    if shape[0] * shape[1] <= max(DENSE * prediction.size, 1 << 16):
        codes = rows.astype(np.intp) * shape[1] + columns
        pixels = np.bincount(codes, minlength=shape[0] * shape[1])
        found = np.flatnonzero(pixels)
        predicted, true = np.divmod(found, max(shape[1], 1))
        return Contingency(predicted_ids, true_ids, predicted, true, pixels[found].astype(np.int64))
    table = sparse.coo_array((np.ones(rows.size, np.int64), (rows, columns)), shape=shape).tocsr()
    table.sort_indices()
    predicted = np.repeat(np.arange(shape[0]), np.diff(table.indptr))
    return Contingency(predicted_ids, true_ids, predicted, table.indices.astype(np.intp), table.data)


def areas(labels: NDArray[Any]) -> tuple[Integers, Integers]:
    """The numbers that occur, ascending, and the pixels of each: int64 [N] both. labels: integers from 0."""
    ids, places = _numbered(labels.ravel())
    return ids, np.bincount(places.astype(np.intp), minlength=ids.size).astype(np.int64)


def require_labels(labels: NDArray[Any], role: str) -> None:
    """Raise ShapeError unless `labels` is a label map: integers [H, W], none negative."""
    if labels.dtype == np.bool_:
        raise ShapeError(
            found=f"a {role} of type bool",
            expected="a label map: integers [H, W], 0 outside, a number per object",
            fix="number the objects first: connected_components(mask)",
        )
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise ShapeError(
            found=f"a {role} of shape {labels.shape} and type {labels.dtype}",
            expected="a label map: integers [H, W], 0 outside, a number per object",
            fix="score one image at a time, objects rather than probabilities",
        )
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise ShapeError(
            found=f"a {role} with the number {labels.min()}",
            expected="0 for background and positive numbers for objects",
            fix="set pixels that belong to no object to 0 (some watersheds mark borders with -1)",
        )


def require_same_shape(prediction: NDArray[Any], truth: NDArray[Any]) -> None:
    """Raise ShapeError unless the two maps have the same shape."""
    if prediction.shape != truth.shape:
        raise ShapeError(
            found=f"a prediction of shape {prediction.shape} for a truth of shape {truth.shape}",
            expected="a number for each pixel of the truth",
            fix="predict at the size of the image, not of a resized copy",
        )


def require_counted(counted: NDArray[np.bool_] | None, shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless `counted` is None or a bool array of this shape."""
    if counted is not None and (counted.dtype != np.bool_ or counted.shape != shape):
        raise ShapeError(
            found=f"`counted` of shape {counted.shape} and type {counted.dtype}",
            expected=f"bool {shape}: True where pixels count",
            fix="compare first (`region > 0`), or leave it out to count every pixel",
        )


def _numbered(labels: NDArray[Any]) -> tuple[Integers, NDArray[Any]]:
    """The numbers that occur, ascending, and for each pixel the place of its number among them."""
    top = int(labels.max(initial=0))
    if top > max(DENSE * labels.size, 1 << 16):
        ids, places = np.unique(labels, return_inverse=True)
        return ids.astype(np.int64), places
    occurs = np.zeros(top + 1, np.bool_)
    occurs[labels] = True
    ids = np.flatnonzero(occurs).astype(np.int64)
    if ids.size == top + 1:  # consecutive from 0, as labelling leaves them: the numbers are the places
        return ids, labels
    return ids, (np.cumsum(occurs) - 1)[labels]


def _sums(places: NDArray[np.intp], pixels: Integers, size: int) -> Integers:
    """Sum of `pixels` per place, exact in integers: bincount's weights would be floats."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, places, pixels)
    return sums
