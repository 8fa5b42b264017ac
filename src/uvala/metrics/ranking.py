"""How well the scores of one class rank pixels: ROC AUC, average precision, the best F1, curves.

All follow from two counts at falling thresholds: the true and the false positives among what scores at least
as much. The exact functions get them by sorting, `ProbabilityCounts` from histograms.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE
from uvala.errors import ShapeError

__all__ = [
    "BestF1",
    "ThresholdCurve",
    "area_under",
    "average_precision",
    "best_f1",
    "best_of",
    "curve_through",
    "roc_auc",
    "sum_of_steps",
]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class BestF1(NamedTuple):
    """The largest F1 that any threshold reaches, and the threshold: positive is what is at least as large."""

    f1: float
    threshold: float


class ThresholdCurve(NamedTuple):
    """What a threshold on the probability of one class brings: float64 [points] each, thresholds rising.

    F1 is also called Dice. Recall and F1 are NaN for a class without a true pixel, the false positive rate is
    NaN if all pixels are true ones.
    """

    thresholds: Floats
    precision: Floats
    recall: Floats
    f1: Floats
    false_positive_rate: Floats


def roc_auc(scores: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None) -> float:
    """Area under the ROC curve: the probability that a positive scores higher than a negative, ties half.

    scores: float, finite, any shape and range. truth: bool or 0 and 1 of the same shape, 255 is not counted.
    NaN unless both kinds occur (scikit-learn warns there). Raises ShapeError for input of another kind.
    Source: Hanley and McNeil (1982).
    """
    return area_under(*_at_scores(scores, truth, counted)[1:])


def average_precision(
    scores: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None
) -> float:
    """Sum over falling thresholds of (gain in recall) x precision: 0 to 1.

    scores, truth, counted: as in `roc_auc`. A sum of steps as in scikit-learn, not trapezoids, which flatter.
    NaN without a positive (scikit-learn warns and says 0); 1 if all are positive.
    Source: Davis and Goadrich (2006), doi:10.1145/1143844.1143874, on why not to interpolate.
    """
    return sum_of_steps(*_at_scores(scores, truth, counted)[1:])


def best_f1(scores: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None) -> BestF1:
    """The largest F1 (Dice) of `scores >= threshold` over all thresholds, and the largest such threshold.

    scores, truth, counted: as in `roc_auc`. Both NaN without a positive. It is optimistic where the threshold
    is chosen on the images that are scored: choose it on others.
    """
    return best_of(*_at_scores(scores, truth, counted))


def area_under(tp: Counts, fp: Counts) -> float:
    """Area under the ROC curve: tp, fp are counts at falling thresholds, the last one of all pixels."""
    if not tp.size or not tp[-1] or not fp[-1]:
        return np.nan
    recall, fall_out = np.append(0.0, tp / tp[-1]), np.append(0.0, fp / fp[-1])
    return float(np.diff(fall_out) @ (recall[1:] + recall[:-1]) / 2)


def sum_of_steps(tp: Counts, fp: Counts) -> float:
    """Average precision: tp, fp are counts at falling thresholds, the last one of all pixels."""
    if not tp.size or not tp[-1]:
        return np.nan
    return float(np.diff(tp, prepend=0) / tp[-1] @ (tp / np.maximum(tp + fp, 1)))


def best_of(thresholds: Floats, tp: Counts, fp: Counts) -> BestF1:
    """The best F1 of these thresholds, falling, and the first that reaches it."""
    if not tp.size or not tp[-1]:
        return BestF1(np.nan, np.nan)
    f1 = 2 * tp / (tp + fp + tp[-1])
    best = int(f1.argmax())
    return BestF1(float(f1[best]), float(thresholds[best]))


def curve_through(thresholds: Floats, tp: Counts, fp: Counts, points: int | None = None) -> ThresholdCurve:
    """The curve through these points (falling thresholds), from the lowest to the highest that finds any.

    points: about how many to keep (at most; None: all). No step is then larger than 3 / points in threshold,
    in recall or in the false positive rate, if the data have no gap.
    """
    some = np.flatnonzero(tp + fp)[::-1]
    found = (tp + fp)[some]
    positives, negatives = (float(count[-1]) or np.nan for count in (tp, fp))
    tp, fp = tp[some], fp[some]
    f1 = 2 * tp / (found + positives)
    curve = ThresholdCurve(thresholds[some], tp / found, tp / positives, f1, fp / negatives)
    kept = slice(None) if points is None else _spaced(curve, points)
    return ThresholdCurve(*(column[kept] for column in curve))


def _spaced(curve: ThresholdCurve, points: int) -> NDArray[np.intp]:
    """Which points to keep: equal steps of threshold, recall and false positive rate together."""
    monotone = np.stack([curve.thresholds, curve.recall, curve.false_positive_rate])
    steps = np.abs(np.diff(np.nan_to_num(monotone), prepend=np.nan_to_num(monotone[:, :1])))
    way = steps.sum(axis=0).cumsum()  # how far each point is along the curve
    if not way.size:
        return np.arange(0)
    return np.unique(np.searchsorted(way, np.linspace(0, way[-1], max(points, 2))))


def _at_scores(
    scores: NDArray[Any], truth: NDArray[Any], counted: NDArray[np.bool_] | None
) -> tuple[Floats, Counts, Counts]:
    """The distinct scores, falling, and the true and false positives of a threshold at each of them."""
    values, positive = _counted_scores(scores, truth, counted)
    order = np.argsort(values)[::-1]
    values = values[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)[: values.size])  # of equal scores
    tp = np.cumsum(positive[order], dtype=np.int64)[last]
    return values[last].astype(np.float64), tp, last + 1 - tp


def _counted_scores(
    scores: NDArray[Any], truth: NDArray[Any], counted: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if scores.shape != truth.shape or (counted is not None and counted.shape != truth.shape):
        raise ShapeError(
            found=f"scores of shape {scores.shape} for a truth of shape {truth.shape}",
            expected="a score for each pixel of the truth",
            fix="take the probabilities of one class",
        )
    keep = truth != IGNORE if counted is None else counted & (truth != IGNORE)
    values, kept = scores[keep], truth[keep]
    if truth.dtype.kind not in "bui" or (kept.size and (kept.min() < 0 or kept.max() > 1)):
        raise ShapeError(
            found=f"a truth of type {truth.dtype} with other values than 0 and 1",
            expected="True or 1 for the class, False or 0 for all others, 255 for what does not count",
            fix="compare the class map with the class: `truth == 2`, and pass what counts as `counted`",
        )
    if not np.isfinite(values).all():
        raise ShapeError(
            found="scores that are infinite or not a number",
            expected="finite numbers",
            fix="look for what made them: a network that diverged, a division by zero",
        )
    return values, kept.astype(bool)
