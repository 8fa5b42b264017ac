"""Membrane probabilities as partitions: the scores at each threshold, with borders as they are or thinned.

A segment is what hangs together inside the membranes. One threshold serves a whole data set: the best one
for the mean over its images, as the challenge on electron microscopy chose it (Arganda-Carreras et al.
2015, doi 10.3389/fnana.2015.00142). Chosen on the images that are scored, it flatters; choose it on others
where you can.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import LabelMap
from uvala.errors import ShapeError
from uvala.metrics.contingency import require_labels, require_same_shape
from uvala.metrics.partitions import FScore, Zeros, v_rand_and_info

__all__ = ["BestThreshold", "PartitionCurve", "best_threshold", "partition_curve", "thin"]

NAN = float("nan")


@dataclass(frozen=True)
class PartitionCurve:
    """V_rand and V_info of one image at each threshold, in the order of the thresholds."""

    thresholds: tuple[float, ...]
    v_rand: tuple[FScore, ...]
    v_info: tuple[FScore, ...]


@dataclass(frozen=True)
class BestThreshold:
    """The threshold that is best for several images together, and the mean over the images there."""

    threshold: float
    score: FScore
    images: int
    """How many images the mean is over: those with a true segment."""


def partition_curve(
    probability: NDArray[np.floating[Any]],
    truth: NDArray[Any],
    *,
    thresholds: Sequence[float],
    thinned: bool = False,
    zeros: Zeros = "pixels",
    counted: NDArray[np.bool_] | None = None,
) -> PartitionCurve:
    """V_rand and V_info of the segments that each threshold cuts out of a probability.

    probability: float [H, W], 0 to 1, of lying inside a cell. truth: integers [H, W], 0 on membranes. A
    segment is what hangs together by edges (4 neighbours) where probability > threshold; `thinned`: after
    `thin`. Segments are found on the whole image, so two parts may hang together through pixels that are
    not counted. The challenge used 0, 0.1, ..., 1. zeros, counted: as in `v_rand`. Raises ShapeError as
    `v_rand` and for impossible numbers.
    """
    _require_probability(probability, truth)
    scores = []
    for threshold in thresholds:
        segments: LabelMap = ndimage.label(probability > threshold, output=np.int32)[0]
        cells = thin(segments) if thinned else segments
        scores.append(v_rand_and_info(cells, truth, zeros=zeros, counted=counted))
    return PartitionCurve(
        thresholds=tuple(map(float, thresholds)),
        v_rand=tuple(rand for rand, _ in scores),
        v_info=tuple(information for _, information in scores),
    )


def best_threshold(
    curves: Sequence[PartitionCurve], score: Literal["v_rand", "v_info"] = "v_rand"
) -> BestThreshold:
    """The threshold whose mean `score` over the images is best: one threshold for all, as the challenge did.

    Images without a true segment have no score and are left out. The lowest of equally good thresholds; its
    score is NaN if no image has one. Raises ShapeError for no curves or curves of different thresholds.
    """
    if len({curve.thresholds for curve in curves}) != 1 or not curves[0].thresholds:
        raise ShapeError(
            found=f"{len(curves)} curves of {len({curve.thresholds for curve in curves})} sets of thresholds",
            expected="the curves of at least one image, all at the same thresholds",
            fix="compute each image's curve with the same `thresholds`",
        )
    parts = np.array(
        [[(float(s), s.split, s.merge) for s in getattr(curve, score)] for curve in curves]
    )  # [images, thresholds, 3]
    known = parts[~np.isnan(parts[:, 0, 0])]
    if not known.size:
        return BestThreshold(curves[0].thresholds[0], FScore(NAN, NAN, NAN), images=0)
    means = known.mean(axis=0)
    best = int(means[:, 0].argmax())
    return BestThreshold(curves[0].thresholds[best], FScore(*means[best]), images=len(known))


def thin(segments: NDArray[Any]) -> LabelMap:
    """Segments grown into the border between them, up to lines of one pixel: int32 [H, W], 0 on the lines.

    segments: integers [H, W], 0 between segments, or a bool mask, whose components (4 neighbours) are the
    segments. Each pixel of the border goes to the segment that is the fewest steps along rows and columns
    away; where two different ones meet across an edge, the pixel that is further from its segment becomes
    the line, which can leave a pixel more where three meet. Segments that touch already keep touching, and
    without any segment nothing grows. Raises ShapeError for anything else.

    It is what the challenge's program gets by flooding the binary border with Vincent and Soille's
    watershed, 4 neighbours, up to which of two pixels is the line; only, that one turns a mask without
    segments into a single one.
    """
    labels = ndimage.label(segments, output=np.int32)[0] if segments.dtype == np.bool_ else segments
    require_labels(labels, "map of segments")
    if not labels.any():
        return labels.astype(np.int32)
    steps, (rows, columns) = ndimage.distance_transform_cdt(labels == 0, "taxicab", return_indices=True)
    grown = labels[rows, columns].astype(np.int32)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        # the line is the pixel that is further from its segment; pixels of the segments are 0 steps away
        for near, far in ((there, here), (here, there)):
            meet = (grown[near] != grown[far]) & (grown[near] > 0) & (grown[far] > 0)
            grown[far][meet & (steps[far] >= steps[near]) & (steps[far] > 0)] = 0
    return grown


def _require_probability(probability: NDArray[Any], truth: NDArray[Any]) -> None:
    require_same_shape(probability, truth)
    if probability.dtype.kind != "f":
        raise ShapeError(
            found=f"a probability of type {probability.dtype}",
            expected="float [H, W], 0 to 1",
            fix="divide grey values by their maximum; score label maps with v_rand and v_info",
        )
    if probability.size and not (probability.min() >= 0 and probability.max() <= 1):
        raise ShapeError(
            found=f"a probability from {probability.min()} to {probability.max()}",
            expected="numbers from 0 to 1",
            fix="apply softmax or sigmoid to logits first",
        )
