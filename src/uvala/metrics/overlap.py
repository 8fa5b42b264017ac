"""Which predicted object lies on which true one, and who is whose partner.

All scores of objects are read from one `Overlaps`, so the pixels of an image are looked at once. The
objects of a label map do not overlap each other; therefore at IoU > 0.5 every object has at most one
possible partner, and every way of matching gives the same pairs (Kirillov et al. 2019, arXiv:1801.00868,
section 4.1). Below, it matters.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from uvala.errors import ShapeError
from uvala.metrics.contingency import areas, contingency, require_counted, require_labels, require_same_shape

__all__ = ["Matches", "Method", "Overlaps", "match", "overlaps"]

Integers = NDArray[np.int64]
Places = NDArray[np.intp]

Method = Literal["hungarian", "greedy"]
"""How partners are found where there is a choice: best for all together, or best pair first."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The objects of one image and the pairs that share pixels.

    predicted_ids int64 [P], true_ids int64 [T]: the numbers of the objects, ascending; predicted_areas,
    true_areas: their pixels. A pair is predicted[k], true[k], intp [N]: places in those arrays, sorted;
    intersections[k] > 0 is what the two share, int64 [N].
    """

    predicted_ids: Integers
    true_ids: Integers
    predicted_areas: Integers
    true_areas: Integers
    predicted: Places
    true: Places
    intersections: Integers

    @property
    def unions(self) -> Integers:
        """Pixels in either object of each pair: int64 [N]."""
        return self.predicted_areas[self.predicted] + self.true_areas[self.true] - self.intersections

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair: float64 [N], above 0, up to 1."""
        return self.intersections / self.unions


@dataclass(frozen=True, eq=False)
class Matches:
    """Partners: predicted[k] and true[k] are places in an `Overlaps`, iou[k] is their IoU; each [M]."""

    predicted: Places
    true: Places
    iou: NDArray[np.float64]


def overlaps(
    prediction: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None
) -> Overlaps:
    """The objects of two label maps and how many pixels each pair of them shares, in one pass.

    prediction, truth: integers [H, W], 0 background, any positive numbers. counted: bool [H, W], True where
    pixels count; None: all. Pixels that do not count belong to no object, and an object with more than half
    of its pixels there is left out, predicted and true ones alike. Raises ShapeError for anything but two
    label maps of one shape.
    """
    require_same_shape(prediction, truth)
    require_labels(prediction, "prediction")
    require_labels(truth, "truth")
    require_counted(counted, truth.shape)
    maps, hidden = (prediction, truth), (prediction[:0], truth[:0])
    if counted is not None:
        hidden = prediction[~counted], truth[~counted]
        maps = np.where(counted, prediction, 0), np.where(counted, truth, 0)
    table = contingency(*maps)
    predicted = _objects(table.predicted_ids, table.predicted_areas, hidden[0])
    true = _objects(table.true_ids, table.true_areas, hidden[1])
    pairs = predicted[table.predicted] & true[table.true]
    return Overlaps(
        predicted_ids=table.predicted_ids[predicted],
        true_ids=table.true_ids[true],
        predicted_areas=table.predicted_areas[predicted],
        true_areas=table.true_areas[true],
        predicted=_places(predicted)[table.predicted[pairs]],
        true=_places(true)[table.true[pairs]],
        intersections=table.pixels[pairs],
    )


def match(found: Overlaps, threshold: float, method: Method = "hungarian") -> Matches:
    """Partners among the objects with an IoU above `threshold`: each object has at most one.

    threshold: 0 to below 1; the IoU must be larger, as in the panoptic quality and the Data Science Bowl
    2018 (StarDist and COCO take equal ones, too). "hungarian": as many pairs as possible, and of those
    choices the one with the largest sum of IoU. "greedy": the pair of largest IoU first, then the largest
    of those left; ties by lower numbers. The same from 0.5 up. Raises ShapeError for another threshold or
    method.
    """
    _require_choice(threshold, method)
    iou = found.iou
    pairs = np.flatnonzero(iou > threshold)
    predicted, true = found.predicted[pairs], found.true[pairs]
    contested = (np.bincount(predicted)[predicted] > 1) | (np.bincount(true)[true] > 1)
    if contested.any():
        choose = _best_together if method == "hungarian" else _best_first
        settled = pairs[~contested]
        chosen = choose(predicted[contested], true[contested], iou[pairs[contested]])
        pairs = np.sort(np.concatenate([settled, pairs[contested][chosen]]))
    return Matches(found.predicted[pairs], found.true[pairs], iou[pairs])


def _best_together(predicted: Places, true: Places, iou: NDArray[np.float64]) -> Places:
    """Places of the pairs of an assignment with the most pairs, then with the largest sum of IoU."""
    rows, row = np.unique(predicted, return_inverse=True)
    columns, column = np.unique(true, return_inverse=True)
    worth = np.zeros((rows.size, columns.size))
    # all IoU together are worth less than one pair more
    worth[row, column] = 1 + iou / (2 * min(worth.shape))
    place = np.full(worth.shape, -1, np.intp)
    place[row, column] = np.arange(iou.size)
    chosen = place[linear_sum_assignment(worth, maximize=True)]
    return chosen[chosen >= 0]


def _best_first(predicted: Places, true: Places, iou: NDArray[np.float64]) -> Places:
    """Places of the pairs that are left if the best pair is taken again and again."""
    taken_predicted, taken_true, chosen = set[int](), set[int](), list[int]()
    for place in np.argsort(-iou, kind="stable").tolist():
        one, other = int(predicted[place]), int(true[place])
        if one not in taken_predicted and other not in taken_true:
            taken_predicted.add(one)
            taken_true.add(other)
            chosen.append(place)
    return np.array(chosen, np.intp)


def _objects(ids: Integers, inside: Integers, hidden: NDArray[Any]) -> NDArray[np.bool_]:
    """Which numbers are objects: not 0, and no more of their pixels `hidden`, int [..], than `inside`."""
    outside = np.zeros_like(inside)
    lost_ids, lost = areas(hidden)
    _, here, there = np.intersect1d(ids, lost_ids, assume_unique=True, return_indices=True)
    outside[here] = lost[there]
    return (ids != 0) & (outside <= inside)


def _places(kept: NDArray[np.bool_]) -> Places:
    """The place of each kept number among those that are kept."""
    return np.cumsum(kept) - 1


def _require_choice(threshold: float, method: str) -> None:
    if not 0 <= threshold < 1:
        raise ShapeError(
            found=f"an IoU threshold of {threshold}",
            expected="0 to below 1: objects match above it",
            fix="use 0.5, or 0.5, 0.55, ..., 0.95 for a mean over thresholds",
        )
    if method not in ("hungarian", "greedy"):
        raise ShapeError(
            found=f"method = {method!r}",
            expected='"hungarian" or "greedy"',
            fix="leave it out: from an IoU of 0.5 up, both give the same",
        )
