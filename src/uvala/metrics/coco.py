"""Average precision as COCO computes it: the area under the precision-recall curve of scored objects.

Unlike the AP of `instances` it needs a score per predicted object, says how well objects can be ranked, and
depends on no threshold of that score. For masks from label maps, one class, no crowds.

Source: Lin et al. (2014), arXiv:1405.0312, and the evaluation at cocodataset.org: 101 recall points, IoU
from 0.5 to 0.95 (an IoU equal to the threshold counts), objects sorted by score over all images, stable
where scores are equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.errors import ShapeError
from uvala.metrics.instances import IOU_THRESHOLDS
from uvala.metrics.overlap import Overlaps

__all__ = ["COCO_AREAS", "CocoScores", "coco_average_precision"]

Floats = NDArray[np.float64]

COCO_AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""Areas in pixels, both ends included, so that one of exactly 32 x 32 is small and medium, as in COCO."""

RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class CocoScores:
    """Average precisions, 0 to 1; NaN where truth holds no object (of that size), as COCO's -1 means.

    Those by size are computed when they are asked for.
    """

    thresholds: Floats
    """The AP at each IoU threshold, float64 [10]."""
    _of: Callable[[str], Floats] = field(repr=False)
    """As `thresholds`, for objects of a size in COCO_AREAS."""

    @property
    def ap(self) -> float:
        """Mean over the IoU thresholds 0.5, 0.55, ..., 0.95."""
        return float(self.thresholds.mean())

    @property
    def ap50(self) -> float:
        """At an IoU of 0.5."""
        return float(self.thresholds[IOU_THRESHOLDS.index(0.5)])

    @property
    def ap75(self) -> float:
        """At an IoU of 0.75."""
        return float(self.thresholds[IOU_THRESHOLDS.index(0.75)])

    @cached_property
    def ap_small(self) -> float:
        """As `ap` for true objects up to 32 x 32 pixels; others are neither found nor false alarms."""
        return float(self._of("small").mean())

    @cached_property
    def ap_medium(self) -> float:
        """As `ap`, true objects from 32 x 32 to 96 x 96 pixels."""
        return float(self._of("medium").mean())

    @cached_property
    def ap_large(self) -> float:
        """As `ap`, true objects from 96 x 96 pixels."""
        return float(self._of("large").mean())


def coco_average_precision(
    images: Sequence[tuple[Overlaps, Floats]], *, most: int | None = None
) -> CocoScores:
    """COCO's AP of a data set, in total and by size.

    images: per image its overlaps and the score of each predicted object, float64 [P] in the order of
    predicted_ids. most: predicted objects per image that are looked at, the best ones; COCO's own is 100,
    which an image with 2,000 nuclei cannot satisfy, so None is all. NaN where truth holds no object;
    predicted ones are then not counted, so look at the number of spurious objects as well. Raises
    ShapeError for scores that do not fit.
    """
    for found, scores in images:
        _require_scores(found, scores)
    # from the best to the worst of each image, and of equally good ones in the order of their numbers
    best = [np.argsort(-scores, kind="stable")[:most] for _, scores in images]
    ranks = [scores[order] for (_, scores), order in zip(images, best, strict=True)]
    order = np.argsort(-np.concatenate([*ranks, np.empty(0)]), kind="stable")

    def of(size: str) -> Floats:
        limits = COCO_AREAS[size]
        return np.array([_precision(images, best, order, iou, limits) for iou in IOU_THRESHOLDS])

    return CocoScores(of("all"), of)


def _precision(
    images: Sequence[tuple[Overlaps, Floats]],
    best: Sequence[NDArray[np.intp]],
    order: NDArray[np.intp],
    threshold: float,
    limits: tuple[float, float],
) -> float:
    """AP at one IoU threshold for true objects with an area within `limits`; NaN if there are none."""
    outcomes, wanted = [np.empty((0, 2), np.bool_)], 0
    for (found, _), ranked in zip(images, best, strict=True):
        other_size = ~_within(found.true_areas, limits)
        wanted += int(np.count_nonzero(~other_size))
        partner = _partners(found, ranked, threshold, other_size)[ranked]
        unmatched = partner < 0
        passed_over = np.where(
            unmatched,
            ~_within(found.predicted_areas[ranked], limits),
            other_size[partner] if other_size.size else False,
        )
        outcomes.append(np.column_stack([~unmatched & ~passed_over, unmatched & ~passed_over]))
    if not wanted:
        return float("nan")
    hits, alarms = np.concatenate(outcomes)[order].cumsum(axis=0).T
    return _area_under_curve(hits, alarms, wanted)


def _area_under_curve(hits: NDArray[np.int64], alarms: NDArray[np.int64], wanted: int) -> float:
    """Mean precision at 101 recalls; hits and alarms, int64 [D], count those among the first d objects."""
    seen = hits + alarms
    precision = np.divide(hits, seen, out=np.zeros(hits.shape), where=seen > 0)
    # at a recall, the best precision at that recall or a higher one
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / wanted, RECALLS, side="left")
    return float(np.append(envelope, 0.0)[places].mean())


def _partners(
    found: Overlaps, ranked: NDArray[np.intp], threshold: float, other_size: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """The true object that each predicted one is matched to, or -1: intp [P]."""
    near = np.flatnonzero(found.iou >= threshold)
    near = near[np.isin(found.predicted[near], ranked)]
    predicted, true = found.predicted[near], found.true[near]
    partner = np.full(found.predicted_ids.size, -1, np.intp)
    if np.unique(predicted).size == near.size == np.unique(true).size:
        partner[predicted] = true
        return partner
    # only at an IoU of exactly 0.5 is there a choice: in order of score, to a free true object, to one of the
    # size in question first, and of several to the last
    rank = np.empty(found.predicted_ids.size, np.intp)
    rank[ranked] = np.arange(ranked.size)
    free = np.ones(found.true_ids.size, np.bool_)
    for place in np.lexsort((-true, other_size[true], -found.iou[near], rank[predicted])).tolist():
        if partner[predicted[place]] < 0 and free[true[place]]:
            partner[predicted[place]] = true[place]
            free[true[place]] = False
    return partner


def _within(areas: NDArray[np.int64], limits: tuple[float, float]) -> NDArray[np.bool_]:
    return (areas >= limits[0]) & (areas <= limits[1])


def _require_scores(found: Overlaps, scores: NDArray[Any]) -> None:
    if scores.shape != found.predicted_ids.shape or scores.dtype.kind != "f" or np.isnan(scores).any():
        raise ShapeError(
            found=f"scores of shape {scores.shape} and type {scores.dtype}",
            expected=f"float [{found.predicted_ids.size}], a number for each predicted object, none NaN",
            fix="for example the mean probability inside each object, in the order of predicted_ids",
        )
