"""Scores of the objects of one image in one call; what adds up over images is in `instances`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.metrics.instances import IOU_THRESHOLDS, aggregated_jaccard, object_counts
from uvala.metrics.overlap import overlaps

__all__ = ["PanopticQuality", "aji", "object_ap", "panoptic_quality"]


class PanopticQuality(float):
    """PQ = SQ * RQ, 0 to 1. `sq`: mean IoU of the matches; `rq`: F1 of finding objects, IoU above 0.5."""

    sq: float
    rq: float

    def __new__(cls, value: float, sq: float, rq: float) -> "PanopticQuality":
        """The quality and its two factors."""
        self = super().__new__(cls, value)
        self.sq, self.rq = sq, rq
        return self

    def __getnewargs__(self) -> tuple[float, float, float]:  # type: ignore[override]
        return float(self), self.sq, self.rq


def object_ap(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    thresholds: Sequence[float] = IOU_THRESHOLDS,
    counted: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """TP / (TP + FP + FN) at each IoU threshold: float64 [T], 0 to 1; NaN without objects in either.

    prediction, truth: integers [H, W], 0 background. counted: bool [H, W], True where pixels count. Two
    objects match if their IoU is above the threshold. The mean over the default thresholds is the mean AP of
    StarDist and the Data Science Bowl 2018. Raises ShapeError for anything but two label maps of one shape.
    """
    return object_counts(overlaps(prediction, truth, counted=counted), thresholds=thresholds).ap


def panoptic_quality(
    prediction: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None
) -> PanopticQuality:
    """PQ of one image and class, with its parts SQ and RQ; all NaN without objects in either.

    Arguments and errors as in `object_ap`. Source: Kirillov et al. (2019), arXiv:1801.00868.
    """
    counts = object_counts(overlaps(prediction, truth, counted=counted), thresholds=(0.5,))
    return PanopticQuality(*(float(part[0]) for part in (counts.pq, counts.sq, counts.rq)))


def aji(prediction: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None) -> float:
    """Aggregated Jaccard index of one image, 0 to 1; NaN without objects in either.

    Arguments and errors as in `object_ap`. Source: Kumar et al. (2017), doi 10.1109/TMI.2017.2677499.
    """
    return aggregated_jaccard(overlaps(prediction, truth, counted=counted)).score
