"""Scores of class maps, pixel by pixel: all of them are read from one confusion matrix.

    confusion[t, p]   pixels of true class t that were predicted as p
    TP = confusion[c, c]    FN = the rest of row c    FP = the rest of column c

Matrices of several images add up. A class that is in neither truth nor prediction has no score: NaN, which no
mean may count as 0 or as 1 unsaid. A class that is in only one of the two scores 0 in everything: a miss and
a false alarm never leave a mean (for precision and recall this is scikit-learn's zero_division=0).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, MAX_CLASSES
from uvala.errors import ShapeError

__all__ = ["confusion_matrix", "dice", "iou", "pixel_accuracy", "precision", "recall"]

Counts = NDArray[np.int64]
"""A confusion matrix [K, K]: rows are truth, columns prediction."""


def confusion_matrix(prediction: NDArray[Any], truth: NDArray[Any], num_classes: int) -> Counts:
    """How many pixels of each true class (row) were predicted as each class (column): int64 [K, K].

    prediction, truth: class indices of the same shape, any integer type or bool, 0 to num_classes - 1. A
    pixel whose truth is IGNORE (255) is not counted, whatever class is predicted there; a prediction may not
    be IGNORE anywhere. Raises ShapeError for different shapes, for numbers that are not integers and for
    impossible classes.
    """
    if not 2 <= num_classes <= MAX_CLASSES:
        raise ShapeError(
            found=f"num_classes = {num_classes}",
            expected=f"2 to {MAX_CLASSES} classes",
            fix="count the background as a class: two classes are a binary task",
        )
    if prediction.shape != truth.shape:
        raise ShapeError(
            found=f"a prediction of shape {prediction.shape} for a truth of shape {truth.shape}",
            expected="a class for each pixel of the truth",
            fix="predict at the size of the image, not of a resized copy",
        )
    columns, rows = _as_bytes(prediction, "prediction"), _as_bytes(truth, "truth")
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


def pixel_accuracy(confusion: Counts) -> float:
    """Share of the counted pixels whose class is right, 0 to 1; NaN if no pixel was counted.

    confusion: int [K, K], rows truth.
    """
    hits, truth, _ = _marginals(confusion)
    return float(_share(hits.sum(keepdims=True), truth.sum(keepdims=True))[0])


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
