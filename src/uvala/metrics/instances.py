"""Scores of objects: how many were found, how well they fit, and what went wrong with the others.

A prediction is matched to truth at a threshold of the IoU: pairs are true positives (TP), predicted objects
without a partner false positives (FP), true ones without a partner false negatives (FN).

    AP = TP / (TP + FP + FN)       F1 = RQ = TP / (TP + FP/2 + FN/2)
    SQ = mean IoU of the pairs     PQ = SQ * RQ

Counts of several images add up. An image without any object, neither true nor predicted, has no score: NaN,
which no mean may count as 0 or as 1 unsaid. With only true or only predicted objects every score is 0.

Sources: AP as in StarDist (Schmidt et al. 2018, arXiv:1806.03535) and the Data Science Bowl 2018 (Caicedo
et al. 2019, doi 10.1038/s41592-019-0612-7), which is not the area under a precision-recall curve; for that
see `coco`. PQ: Kirillov et al. (2019), arXiv:1801.00868. AJI: Kumar et al. (2017), doi
10.1109/TMI.2017.2677499.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uvala.errors import ShapeError
from uvala.metrics.overlap import Method, Overlaps, match

__all__ = [
    "IOU_THRESHOLDS",
    "JaccardSums",
    "ObjectCounts",
    "aggregated_jaccard",
    "mean_over_images",
    "object_counts",
    "pooled",
]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

IOU_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Those of the mean AP, written out: np.arange gives 0.6000000000000001, more than an IoU of 3 / 5."""

Score = Literal["ap", "precision", "recall", "f1", "sq", "rq", "pq"]


@dataclass(frozen=True, eq=False)
class ObjectCounts:
    """Counts at each of K thresholds: int64 [K], and the sum of the pairs' IoU, float64 [K]. They add up."""

    thresholds: tuple[float, ...]
    true_positives: Integers
    false_positives: Integers
    false_negatives: Integers
    matched_iou: Floats

    def __add__(self, other: "ObjectCounts") -> "ObjectCounts":
        """The counts of the objects of both; ShapeError for different thresholds."""
        if self.thresholds != other.thresholds:
            raise ShapeError(
                found=f"counts at the thresholds {self.thresholds} and at {other.thresholds}",
                expected="the same thresholds",
                fix="count all images with the same `thresholds`",
            )
        return ObjectCounts(
            self.thresholds,
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.matched_iou + other.matched_iou,
        )

    @property
    def ap(self) -> Floats:
        """TP / (TP + FP + FN) at each threshold: float64 [K]; NaN without objects."""
        return _share(self.true_positives, self._objects)

    @property
    def mean_ap(self) -> float:
        """Mean of `ap` over the thresholds; NaN without objects."""
        return float(self.ap.mean())

    @property
    def precision(self) -> Floats:
        """TP / (TP + FP): float64 [K]; 0 if nothing is predicted and something is there; NaN without
        objects."""
        return _share(self.true_positives, self.true_positives + self.false_positives, self._objects)

    @property
    def recall(self) -> Floats:
        """TP / (TP + FN): float64 [K]; 0 if nothing is there and something is predicted; NaN without
        objects."""
        return _share(self.true_positives, self.true_positives + self.false_negatives, self._objects)

    @property
    def f1(self) -> Floats:
        """2 TP / (2 TP + FP + FN): float64 [K]; NaN without objects."""
        return _share(2 * self.true_positives, self.true_positives + self._objects)

    @property
    def sq(self) -> Floats:
        """Segmentation quality, the mean IoU of the pairs: float64 [K]; 0 without a pair, NaN without
        objects."""
        return _share(self.matched_iou, self.true_positives, self._objects)

    @property
    def rq(self) -> Floats:
        """Recognition quality, the same number as `f1`: float64 [K]; NaN without objects."""
        return self.f1

    @property
    def pq(self) -> Floats:
        """Panoptic quality, SQ * RQ: float64 [K]; the published one is that at 0.5. NaN without objects."""
        return _share(2 * self.matched_iou, self.true_positives + self._objects)

    @property
    def _objects(self) -> Integers:
        """Objects, partners counted once: 0 where there is nothing to score."""
        return self.true_positives + self.false_positives + self.false_negatives


def object_counts(
    found: Overlaps, *, thresholds: Sequence[float] = IOU_THRESHOLDS, method: Method = "hungarian"
) -> ObjectCounts:
    """TP, FP, FN and the pairs' IoU of one image at each threshold.

    A pair's IoU is larger than the threshold; thresholds and method as in `match`, ShapeError as there.
    """
    matches = [match(found, threshold, method) for threshold in thresholds]
    hits = np.array([pairs.iou.size for pairs in matches], np.int64)
    return ObjectCounts(
        thresholds=tuple(map(float, thresholds)),
        true_positives=hits,
        false_positives=found.predicted_ids.size - hits,
        false_negatives=found.true_ids.size - hits,
        matched_iou=np.array([pairs.iou.sum() for pairs in matches], np.float64),
    )


def pooled(images: Sequence[ObjectCounts]) -> ObjectCounts:
    """The counts of all images together: each object weighs the same (StarDist's score of a data set).

    Images without objects change nothing. Raises ShapeError for no image or different thresholds.
    """
    _require_images(images)
    total = images[0]
    for image in images[1:]:
        total = total + image
    return total


def mean_over_images(
    images: Sequence[ObjectCounts], score: Score = "ap", *, absent: float | None = None
) -> Floats:
    """Mean of the images' scores at each threshold: each image weighs the same (the Data Science Bowl
    2018's).

    float64 [K]. Images without objects, neither true nor predicted, are left out, or count as `absent` if
    it is given: 1 is the other convention. NaN if none is left. Raises ShapeError for no image or different
    thresholds.
    """
    pooled(images)  # refuses what cannot be averaged
    scores = np.array([getattr(image, score) for image in images])  # [images, K]
    if absent is not None:
        scores = np.where(np.isnan(scores), absent, scores)
    known = scores[~np.isnan(scores).any(axis=1)]
    return known.mean(axis=0) if len(known) else np.full(scores.shape[1], np.nan)


@dataclass(frozen=True)
class JaccardSums:
    """Pixels in the intersections and in the unions of an aggregated Jaccard index; images add up."""

    intersection: int
    union: int

    def __add__(self, other: "JaccardSums") -> "JaccardSums":
        return JaccardSums(self.intersection + other.intersection, self.union + other.union)

    @property
    def score(self) -> float:
        """Intersection / union, 0 to 1; NaN if there is no object, neither true nor predicted."""
        return self.intersection / self.union if self.union else float("nan")


def aggregated_jaccard(found: Overlaps) -> JaccardSums:
    """AJI of one image: the pixels that each true object shares with its best prediction, and their union.

    The best prediction is that of the largest IoU, of equal ones that of the lowest number; predicted objects
    that are nobody's best add their pixels to the union. As published, one prediction can be the best of
    several true objects and is then counted once for each of them. Only true objects: 0; only predicted: 0;
    neither: NaN. Source: Kumar et al. (2017), algorithm 1.
    """
    order = np.lexsort((found.predicted, -found.iou, found.true))  # per true object, its best pair first
    _, first = np.unique(found.true[order], return_index=True)
    best = order[first]
    alone_true = np.delete(found.true_areas, found.true[best])
    alone_predicted = np.delete(found.predicted_areas, found.predicted[best])
    union = found.unions[best].sum() + alone_true.sum() + alone_predicted.sum()
    return JaccardSums(int(found.intersections[best].sum()), int(union))


def _require_images(images: Sequence[ObjectCounts]) -> None:
    if not images:
        raise ShapeError(
            found="no image",
            expected="the object counts of at least one image",
            fix="check which images the subset holds",
        )


def _share(part: NDArray[np.generic], whole: Integers, objects: Integers | None = None) -> Floats:
    """part / whole; where that is 0 / 0: 0 if there are objects, NaN if there are none."""
    objects = whole if objects is None else objects
    empty = np.where(objects > 0, 0.0, np.nan)
    return np.divide(part, whole, out=empty, where=whole > 0)
