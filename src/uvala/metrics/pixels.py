"""Scores of class maps, pixel by pixel: all of them are read from one confusion matrix.

    confusion[t, p]   pixels of true class t that were predicted as p
    TP = confusion[c, c]    FN = the rest of row c    FP = the rest of column c

Matrices of several images add up. A class that is in neither truth nor prediction has no score: NaN, which no
mean may count as 0 or as 1 unsaid. A class that is in only one of the two scores 0 in everything: a miss and
a false alarm never leave a mean (for precision and recall this is scikit-learn's zero_division=0). The one
exception is specificity, which asks about the other classes' pixels: a miss does not touch it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, MAX_CLASSES
from uvala.errors import ShapeError

__all__ = [
    "confusion_matrix",
    "counted_pixels",
    "dice",
    "frequency_weighted",
    "iou",
    "macro",
    "mask_pair",
    "matthews",
    "micro",
    "pixel_accuracy",
    "precision",
    "recall",
    "specificity",
]

Counts = NDArray[np.int64]
"""A confusion matrix [K, K]: rows are truth, columns prediction."""


def counted_pixels(truth: NDArray[Any], region: NDArray[np.bool_] | None = None) -> NDArray[np.bool_] | None:
    """The pixels that every score counts, bool [H, W]: inside the region and not ignored; None if all are.

    truth: class indices [H, W], any integer type or bool, IGNORE (255) where nobody looks; not object
    numbers, of which 255 is one like any other. region: bool [H, W], True inside (a field of view), or None.
    Raises ShapeError for other types, and for a region of another shape.
    """
    counted = _as_bytes(truth, "truth") != IGNORE
    if region is not None:
        counted &= _checked_region(region, truth.shape)
    return None if counted.all() else counted


def mask_pair(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], counted: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(prediction, truth), bool [H, W] each, checked, and background wherever nobody counts.

    counted: bool [H, W], True where pixels count; None if all do. Raises ShapeError if a mask is not bool
    [H, W] or if the shapes differ.
    """
    for mask, role in ((prediction, "prediction"), (truth, "truth")):
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise ShapeError(
                found=f"a {role} of shape {mask.shape} and type {mask.dtype}",
                expected="a mask of one image in two dimensions: bool [H, W]",
                fix="compare first: `classes == 1`, `probability > 0.5`; score a volume slice by slice",
            )
    _refuse_other_shape(prediction, truth)
    if counted is None:
        return prediction, truth
    inside = _checked_region(counted, truth.shape)
    return prediction & inside, truth & inside


def confusion_matrix(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    num_classes: int,
    *,
    counted: NDArray[np.bool_] | None = None,
) -> Counts:
    """How many pixels of each true class (row) were predicted as each class (column): int64 [K, K].

    prediction, truth: class indices of the same shape, any integer type or bool, 0 to num_classes - 1. A
    pixel whose truth is IGNORE (255) is not counted, whatever class is predicted there, and neither is one
    where `counted` (bool, same shape; None: all count) is False, whatever truth says there; a prediction may
    not be IGNORE anywhere. Raises ShapeError for different shapes, for numbers that are not integers and for
    impossible classes.
    """
    if not 2 <= num_classes <= MAX_CLASSES:
        raise ShapeError(
            found=f"num_classes = {num_classes}",
            expected=f"2 to {MAX_CLASSES} classes",
            fix="count the background as a class: two classes are a binary task",
        )
    _refuse_other_shape(prediction, truth)
    columns, rows = _as_bytes(prediction, "prediction"), _as_bytes(truth, "truth")
    if counted is not None:
        rows = np.where(_checked_region(counted, truth.shape), rows, np.uint8(IGNORE))
    # one pass over the pixels counts every pair of bytes, the impossible ones as well
    pairs = np.bincount((rows.astype(np.intp) << 8 | columns).ravel(), minlength=1 << 16).reshape(256, 256)
    _refuse_others(pairs.sum(axis=0), num_classes, "prediction", allowed=())
    _refuse_others(pairs.sum(axis=1), num_classes, "truth", allowed=(IGNORE,))
    return pairs[:num_classes, :num_classes].astype(np.int64)


def dice(confusion: Counts) -> NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) of each class: float64 [K], 0 to 1; NaN where the class is nowhere.

    confusion: int [K, K], rows truth. Also called F1. Source: Dice (1945).
    """
    hits, truth, predicted = _marginals(confusion)
    return _share(2 * hits, truth + predicted)


def iou(confusion: Counts) -> NDArray[np.float64]:
    """TP / (TP + FP + FN) of each class: float64 [K], 0 to 1; NaN where the class is nowhere.

    confusion: int [K, K], rows truth. Source: Jaccard (1912).
    """
    hits, truth, predicted = _marginals(confusion)
    return _share(hits, truth + predicted - hits)


def precision(confusion: Counts) -> NDArray[np.float64]:
    """TP / (TP + FP) of each class: float64 [K], 0 to 1; 0 if missed entirely; NaN where it is nowhere.

    confusion: int [K, K], rows truth.
    """
    hits, truth, predicted = _marginals(confusion)
    return _share(hits, np.where(truth > 0, np.maximum(predicted, 1), predicted))


def recall(confusion: Counts) -> NDArray[np.float64]:
    """TP / (TP + FN) of each class: float64 [K], 0 to 1; 0 if a false alarm only; NaN where it is nowhere.

    confusion: int [K, K], rows truth. Also called sensitivity.
    """
    hits, truth, predicted = _marginals(confusion)
    return _share(hits, np.where(predicted > 0, np.maximum(truth, 1), truth))


def specificity(confusion: Counts) -> NDArray[np.float64]:
    """TN / (TN + FP) of each class: float64 [K], 0 to 1; NaN where it is nowhere, or is all of the truth.

    confusion: int [K, K], rows truth. Of the pixels of all other classes, the share that was not called this
    one. A class that was missed altogether scores 1: nothing was wrongly called it. Rare classes score
    nearly 1 whatever is predicted, so read it together with recall.
    """
    hits, truth, predicted = _marginals(confusion)
    others = truth.sum() - truth
    rejected = others - (predicted - hits)
    return _share(rejected, np.where(truth + predicted > 0, others, 0))


def matthews(confusion: Counts) -> NDArray[np.float64]:
    """Correlation of "is this class" in truth and prediction, of each class: float64 [K], -1 to 1.

    (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)), one class against the rest. NaN where
    the class is nowhere. 0, as in scikit-learn, where one side does not vary and a correlation means nothing:
    the class was missed, or is a false alarm only, or one of the two says it for every pixel (also if both
    do, and so agree). confusion: int [K, K], rows truth. Source: Matthews (1975).
    """
    hits, truth, predicted = _marginals(confusion)
    pixels = max(int(truth.sum()), 1)
    # shares, not counts: a product of the counts of a whole data set overflows 64 bits
    tp, fn, fp = hits / pixels, (truth - hits) / pixels, (predicted - hits) / pixels
    tn = (truth.sum() - truth - predicted + hits) / pixels
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    correlation = np.divide(tp * tn - fp * fn, spread, out=np.zeros(len(tp)), where=spread > 0)
    return np.where(truth + predicted > 0, correlation, np.nan)


def pixel_accuracy(confusion: Counts) -> float:
    """Share of the counted pixels whose class is right, 0 to 1; NaN if no pixel was counted.

    confusion: int [K, K], rows truth.
    """
    hits, truth, _ = _marginals(confusion)
    return float(_share(hits.sum(keepdims=True), truth.sum(keepdims=True))[0])


def macro(scores: NDArray[np.float64]) -> float:
    """Mean of the classes that have a score, each counting the same; NaN if none has.

    scores: float [K] of one of the functions above, NaN where a class has none.
    """
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else float("nan")


def micro(
    confusion: Counts,
    score: Callable[[Counts], NDArray[np.float64]] = dice,
    *,
    classes: Sequence[int] | None = None,
) -> float:
    """The score of several classes with their TP, FP, FN and TN added up first: a pixel counts, not a class.

    confusion: int [K, K], rows truth. score: dice, iou, precision, recall, specificity or matthews. classes:
    which ones; None is all but class 0, the background. Over all classes of a matrix, Dice, precision and
    recall would each be the pixel accuracy: there, what one class wins another has lost. Libraries that add
    up all classes by default (scikit-learn's and torchmetrics' "micro") therefore report accuracy under
    another name. NaN if these classes are nowhere. Raises ShapeError for classes that do not exist.
    """
    hits, truth, predicted = _marginals(confusion)
    chosen = list(range(1, len(hits))) if classes is None else sorted(classes)
    if not set(chosen) <= set(range(len(hits))) or len(set(chosen)) < max(len(chosen), 1):
        raise ShapeError(
            found=f"classes = {chosen} of a confusion matrix of {len(hits)} classes",
            expected=f"at least one class of 0 to {len(hits) - 1}, each at most once",
            fix="leave `classes` out to add up all but the background",
        )
    tp, fn, fp = (int(n[chosen].sum()) for n in (hits, truth - hits, predicted - hits))
    tn = len(chosen) * int(truth.sum()) - tp - fn - fp
    return float(score(np.array([[tn, fp], [fn, tp]], np.int64))[1])


def frequency_weighted(scores: NDArray[np.float64], confusion: Counts) -> float:
    """Mean of the scores, each class weighted by its share of the true pixels; NaN if none counts.

    scores: float [K], NaN where a class has none: it is left out. confusion: int [K, K], rows truth. A class
    that is nowhere in truth weighs nothing, so false alarms cost only through the classes whose pixels they
    took. Of iou it is the "frequency weighted IU" of Long et al. (2015), arXiv:1411.4038.
    """
    _, truth, _ = _marginals(confusion)
    if scores.shape != truth.shape:
        raise ShapeError(
            found=f"scores of shape {scores.shape} with a confusion matrix of {len(truth)} classes",
            expected="a score per class",
            fix="compute the scores from the same matrix",
        )
    known = ~np.isnan(scores)
    weights = truth[known]
    return float(_share((weights * scores[known]).sum(keepdims=True), weights.sum(keepdims=True))[0])


def _refuse_other_shape(prediction: NDArray[Any], truth: NDArray[Any]) -> None:
    if prediction.shape != truth.shape:
        raise ShapeError(
            found=f"a prediction of shape {prediction.shape} for a truth of shape {truth.shape}",
            expected="a class for each pixel of the truth",
            fix="predict at the size of the image, not of a resized copy",
        )


def _checked_region(region: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if region.dtype != np.bool_ or region.shape != shape:
        raise ShapeError(
            found=f"a map of counted pixels of shape {region.shape} and type {region.dtype}",
            expected=f"bool of shape {shape}, True where pixels count",
            fix="read the region mask as `mask > 0`, at the size of the image",
        )
    return region


def _as_bytes(classes: NDArray[Any], role: str) -> NDArray[np.uint8]:
    if classes.dtype == np.uint8:
        return classes
    if classes.dtype.kind not in "bui":
        raise ShapeError(
            found=f"a {role} of type {classes.dtype}",
            expected="class indices: integers",
            fix="take the class of the largest probability (argmax over the classes) first",
        )
    if classes.size and (classes.min() < 0 or classes.max() > IGNORE):
        raise ShapeError(
            found=f"a {role} with values {classes.min()} to {classes.max()}",
            expected=f"class indices of 0 to {MAX_CLASSES - 1}",
            fix="score class maps, not instance numbers or grey values",
        )
    return classes.astype(np.uint8)


def _refuse_others(pixels: NDArray[Any], num_classes: int, role: str, allowed: tuple[int, ...]) -> None:
    """Raise if any byte but a class or an `allowed` value occurs; pixels: int [256], how often each does."""
    strangers = [value for value in np.flatnonzero(pixels) if value >= num_classes and value not in allowed]
    if not strangers:
        return
    listed = ", ".join(f"{value} ({pixels[value]} pixels)" for value in strangers[:5])
    also = f" or {IGNORE} for pixels to ignore" if allowed else ""
    raise ShapeError(
        found=f"a {role} with the value {listed}" + (", ..." if len(strangers) > 5 else ""),
        expected=f"class indices 0 to {num_classes - 1}{also}",
        fix=(
            "predict a class everywhere: only truth may say 'ignore'"
            if strangers == [IGNORE]
            else "decode masks into class indices first, and check num_classes"
        ),
    )


def _marginals(confusion: NDArray[Any]) -> tuple[Counts, Counts, Counts]:
    """Hits, true pixels and predicted pixels of each class, int64 [K] each."""
    square = confusion.ndim == 2 and confusion.shape[0] == confusion.shape[1]
    if not square or confusion.dtype.kind not in "ui" or (confusion < 0).any():
        raise ShapeError(
            found=f"a confusion matrix of shape {confusion.shape} and type {confusion.dtype}",
            expected="pixel counts [K, K]: integers, none negative, rows truth",
            fix="make it with confusion_matrix; matrices of several images are added, not averaged",
        )
    counts = confusion.astype(np.int64)
    return np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)


def _share(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
