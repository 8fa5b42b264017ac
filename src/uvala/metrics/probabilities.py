"""Probabilities against truth: how well they rank, how well they are calibrated, how likely truth is to them.

Images are counted one after the other; nothing is sorted and nothing is kept but histograms, so that a data
set may be of any size (`ranking` has the exact functions for single arrays):

    counts = count_probabilities(first, truth)
    counts += count_probabilities(second, truth)
    counts.roc_auc, counts.average_precision, counts.best_f1(1), counts.ece, counts.nll

The bins of a histogram are 0.2 to 0.4 % of min(p, 1 - p) wide, so that they tell 0.9999 from 0.99999: most
pixels of a trained network lie there, where bins of equal width put all of them into one. What is below
2^-24 (6e-8) is one bin. The edge of a bin is a threshold at which precision, recall and F1 are exact; only
the order within a bin is lost. ROC AUC is thus off by at most half the share of the pairs (a positive, a
negative) whose two pixels fall into the same bin; on drawn images of 200x200 pixels ROC AUC was off by less
than 1e-5, average precision and best F1 by less than 1e-3 (1e-4 where the network is sure).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, MAX_CLASSES, ClassMap
from uvala.errors import ShapeError
from uvala.metrics.ranking import BestF1, ThresholdCurve, area_under, best_of, curve_through, sum_of_steps

__all__ = [
    "LEAST_PROBABILITY",
    "RELIABILITY_BINS",
    "ProbabilityCounts",
    "ReliabilityBin",
    "count_probabilities",
]

RELIABILITY_BINS = 15  # of equal width, as in Guo et al. (2017)
LEAST_PROBABILITY = 1e-7  # for the likelihood: float32 knows no 1 - p below 6e-8, and log 0 is infinite
SUM_TOLERANCE = 0.01  # of the K probabilities of a pixel: what float16 and sums of tiles leave
CHUNK = 1 << 16  # pixels at a time: the arrays of one step stay in the cache of a core

# A float32 that is not negative sorts as its bits do: sign, 8 bits of exponent, 23 of mantissa. Its upper
# bits are thus a bin of constant relative width. Bins are by p below 0.5 and by 1 - p above, mirrored; the
# finest edge is 2^-24, which is the distance of 1 from the next smaller float32.
MANTISSA = 8  # bits of it that are kept: 256 bins each time that p halves
SHIFT = 23 - MANTISSA
BELOW = ((127 - 24) << MANTISSA) - 1  # upper bits of 2^-24, less one: bin 0 is what lies below that
HALF = (126 << MANTISSA) - BELOW  # the bin that begins at p = 0.5
BINS = 2 * HALF + 1  # the last one holds p = 1 alone

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class ReliabilityBin(NamedTuple):
    """Pixels whose most likely class has about the same probability; `accuracy` of them are right."""

    confidence: float
    accuracy: float
    pixels: int


def count_probabilities(
    probabilities: NDArray[Any],
    truth: ClassMap,
    *,
    counted: NDArray[np.bool_] | None = None,
    bins: int = RELIABILITY_BINS,
) -> "ProbabilityCounts":
    """What the scores of an image's probabilities are computed from; counts of several images add up.

    probabilities: float [K, H, W], 0 to 1, sum 1 over the K >= 2 classes; read as float32. truth: class
    indices, uint8 [H, W], 255 is not counted. bins: of confidence, for reliability. Raises ShapeError for
    anything else in what is counted.
    """
    _check_shapes(probabilities, truth, counted)
    num_classes = len(probabilities)
    flat, classes = probabilities.reshape(num_classes, -1), truth.ravel()
    looked_at = None if counted is None else counted.ravel()
    total = _Sums(num_classes, bins)
    for start in range(0, classes.size, CHUNK):
        chunk = slice(start, start + CHUNK)
        keep = classes[chunk] != IGNORE
        if looked_at is not None:
            keep &= looked_at[chunk]
        rows, kept = flat[:, chunk], classes[chunk]
        if not keep.all():
            rows, kept = rows[:, keep], kept[keep]
        _check_values(rows, kept)
        total.add(np.ascontiguousarray(rows, np.float32), kept)
    return total.frozen()


@dataclass(frozen=True, eq=False)
class ProbabilityCounts:
    """Sums over pixels that all scores of probabilities follow from; `a + b` counts the pixels of both.

    histograms: int64 [K, 2, BINS], how often the negatives (0) and the positives (1) of each class have a
    probability in each bin. bin_pixels, bin_right, bin_confidence: [bins], the pixels of each bin of
    confidence, how many are right, the sum of their confidences. squares: sum of the squared differences over
    pixels and classes. surprise: sum of -log p of the true class.
    """

    histograms: Counts
    bin_pixels: Counts
    bin_right: Counts
    bin_confidence: Floats
    squares: float
    surprise: float

    def __add__(self, other: "ProbabilityCounts") -> "ProbabilityCounts":
        if (self.num_classes, len(self.bin_right)) != (other.num_classes, len(other.bin_right)):
            raise ShapeError(
                found=f"counts of {self.num_classes} and of {other.num_classes} classes, "
                f"in {len(self.bin_right)} and {len(other.bin_right)} bins",
                expected="images of one data set, with the same classes, counted in the same bins",
                fix="count each data set for itself",
            )
        return ProbabilityCounts(
            self.histograms + other.histograms,
            self.bin_pixels + other.bin_pixels,
            self.bin_right + other.bin_right,
            self.bin_confidence + other.bin_confidence,
            self.squares + other.squares,
            self.surprise + other.surprise,
        )

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.histograms)

    @property
    def pixels(self) -> int:
        """How many pixels were counted."""
        return int(self.bin_pixels.sum())

    @property
    def brier(self) -> float:
        """Brier score, 0 to 2, less is better: mean over pixels of the sum over classes of (p - truth)^2.

        NaN without pixels. Source: Brier (1950), who sums over the classes; see `binary_brier`.
        """
        return self.squares / self.pixels if self.pixels else np.nan

    @property
    def binary_brier(self) -> float:
        """Mean of (p - truth)^2 of one of two classes, 0 to 1: half of `brier`, NaN for other than 2 classes.

        This is what most call the Brier score of a binary task (scikit-learn's brier_score_loss).
        """
        return self.brier / 2 if self.num_classes == 2 else np.nan

    @property
    def nll(self) -> float:
        """Mean of -log p of the true class, in nats, less is better; p is taken as at least 1e-7.

        So a pixel adds at most 16.1. Also called log loss or cross-entropy. NaN without pixels.
        """
        return self.surprise / self.pixels if self.pixels else np.nan

    @property
    def reliability(self) -> tuple[ReliabilityBin, ...]:
        """Confidence against accuracy: a row for each bin (0, 1/15], ..., (14/15, 1] that holds pixels.

        Confidence is the probability of the most likely class, the first of equals. Source: Guo et al.
        (2017), arXiv:1706.04599.
        """
        sums = zip(self.bin_confidence, self.bin_right, self.bin_pixels, strict=True)
        return tuple(ReliabilityBin(float(c / n), float(r / n), int(n)) for c, r, n in sums if n)

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1: mean over pixels of |accuracy - confidence| of their bin.

        Bins of equal width (15) with their upper edges, so that certainty (exactly 1) belongs to the last
        bin, as in Guo et al. (2017), equation 3. (torchmetrics gives it a bin of its own, and reads a little
        more.)
        """
        gaps = np.abs(self.bin_right - self.bin_confidence)
        return float(gaps.sum() / self.pixels) if self.pixels else np.nan

    @property
    def mce(self) -> float:
        """Maximum calibration error, 0 to 1: the largest |accuracy - confidence| of a bin, however small.

        NaN without pixels. Source: Guo et al. (2017), equation 5.
        """
        return max((abs(row.accuracy - row.confidence) for row in self.reliability), default=np.nan)

    @property
    def roc_auc(self) -> Floats:
        """ROC AUC of each class against all others: float64 [K]; NaN where only one kind occurs."""
        return np.array([area_under(*self._above(c)) for c in range(self.num_classes)])

    @property
    def average_precision(self) -> Floats:
        """Average precision of each class against all others: float64 [K]; NaN for an absent class."""
        return np.array([sum_of_steps(*self._above(c)) for c in range(self.num_classes)])

    def best_f1(self, class_index: int) -> BestF1:
        """The largest F1 (Dice) of `p >= threshold` for one class, and that threshold; NaN if absent."""
        return best_of(EDGES[::-1], *self._above(class_index))

    def threshold_curve(self, class_index: int, points: int | None = None) -> ThresholdCurve:
        """Precision, recall, F1 and false positive rate of one class at each threshold that finds any pixel.

        points: at most how many to keep, spread evenly along the curve; None: all edges of bins.
        """
        return curve_through(EDGES[::-1], *self._above(class_index), points)

    def summary(self, points: int = 160) -> dict[str, Any]:
        """All scores and thinned curves as plain numbers and lists, None for NaN, ready for JSON."""
        classes = range(self.num_classes)
        return {
            "pixels": self.pixels,
            **{name: _plain(getattr(self, name)) for name in ("ece", "mce", "brier", "binary_brier", "nll")},
            "reliability": [row._asdict() for row in self.reliability],
            "roc_auc": _plain(self.roc_auc),
            "average_precision": _plain(self.average_precision),
            "best_f1": [{k: _plain(v) for k, v in self.best_f1(c)._asdict().items()} for c in classes],
            "curves": [
                {name: _plain(column) for name, column in self.threshold_curve(c, points)._asdict().items()}
                for c in classes
            ],
        }

    def _above(self, class_index: int) -> tuple[Counts, Counts]:
        """True and false positives at each edge, from the highest edge to the lowest: int64 [BINS] each."""
        if not 0 <= class_index < self.num_classes:
            raise ShapeError(
                found=f"class {class_index}",
                expected=f"a class from 0 to {self.num_classes - 1}",
                fix="count probabilities of that class, too",
            )
        false, true = self.histograms[class_index, :, ::-1].cumsum(axis=1)
        return true, false


class _Sums:
    """A ProbabilityCounts that grows in place, chunk by chunk."""

    def __init__(self, num_classes: int, bins: int) -> None:
        self.histograms = np.zeros((num_classes, 2 * BINS), np.int64)
        self.reliability = np.zeros((3, bins))  # float64 counts exactly up to 2^53
        self.squares = self.surprise = 0.0

    def add(self, rows: NDArray[np.float32], classes: ClassMap) -> None:
        """rows: float32 [K, n], contiguous. classes: uint8 [n], each below K."""
        confidence, of_truth = np.zeros((2, classes.size), np.float32)
        likeliest = np.zeros(classes.size, np.uint8)
        for index, row in enumerate(rows):
            positive = classes == index
            both = _bins(row) + positive * np.int32(BINS)
            self.histograms[index] += np.bincount(both, minlength=2 * BINS)
            np.copyto(of_truth, row, where=positive)
            np.copyto(likeliest, np.uint8(index), where=row > confidence)
            np.maximum(confidence, row, out=confidence)
            difference = row - positive
            self.squares += float(np.square(difference, out=difference).sum(dtype=np.float64))
        self.surprise -= float(np.log(np.maximum(of_truth, LEAST_PROBABILITY)).sum(dtype=np.float64))
        number = self.reliability.shape[1]
        bins = np.ceil(confidence * np.float32(number)).astype(np.intp) - 1
        np.clip(bins, 0, number - 1, out=bins)  # a probability of 1.0000001 is still a 1
        for sums, weights in zip(self.reliability, (None, likeliest == classes, confidence), strict=True):
            sums += np.bincount(bins, weights, minlength=number)

    def frozen(self) -> ProbabilityCounts:
        pixels, right, confidence = self.reliability
        return ProbabilityCounts(
            self.histograms.reshape(-1, 2, BINS),
            pixels.astype(np.int64),
            right.astype(np.int64),
            confidence,
            self.squares,
            self.surprise,
        )


def _bins(row: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin of each probability: int32, 0 to BINS - 1; as probabilities rise, it does not fall."""
    upper = row >= 0.5
    near = np.minimum(row, 1 - row)  # exact: 1 - p of a float32 in 0.5 to 1 is one as well
    bits = near.view(np.int32)
    # above 0.5 the bins run downwards, so rounding up the distance from 1 keeps the lower edge of p inside
    bits += upper * np.int32((1 << SHIFT) - 1)
    bits >>= SHIFT
    np.maximum(bits, BELOW, out=bits)
    bits -= BELOW
    return np.where(upper, 2 * HALF - bits, bits)


def _edges() -> Floats:
    """The least probability of each bin, rising from 0 to 1: float64 [BINS], symmetric about 0.5."""
    bits = (np.arange(1, HALF + 1, dtype=np.int32) + BELOW) << SHIFT
    lower = bits.view(np.float32).astype(np.float64)  # 2^-24 to 0.5
    return np.concatenate([[0.0], lower, 1 - lower[-2::-1], [1.0]])


EDGES = _edges()


def _plain(value: float | Floats) -> Any:
    """Floats and lists of them, None for NaN."""
    if isinstance(value, np.ndarray):
        return [_plain(float(each)) for each in value]
    return None if np.isnan(value) else value


def _check_shapes(probabilities: NDArray[Any], truth: NDArray[Any], counted: NDArray[Any] | None) -> None:
    fits = probabilities.ndim == 3 and probabilities.shape[1:] == truth.shape and truth.dtype == np.uint8
    fits &= probabilities.dtype.kind == "f" and (counted is None or counted.shape == truth.shape)
    if fits and 2 <= len(probabilities) <= MAX_CLASSES:
        return
    raise ShapeError(
        found=f"probabilities {probabilities.dtype} {list(probabilities.shape)} for a truth {truth.dtype} "
        f"{list(truth.shape)}",
        expected="float [K, H, W] with K of 2 or more classes, and uint8 [H, W]",
        fix="put the classes first; two classes are a binary task: stack 1 - p and p",
    )


def _check_values(rows: NDArray[Any], classes: ClassMap) -> None:
    """rows: [K, n] and classes: [n] of the pixels that count."""
    if not classes.size:
        return
    if classes.max() >= len(rows):
        raise ShapeError(
            found=f"a truth with class {classes.max()}",
            expected=f"class indices 0 to {len(rows) - 1} or {IGNORE} for pixels to ignore",
            fix="decode masks into class indices first",
        )
    off = np.abs(rows.sum(axis=0, dtype=np.float32) - 1).max()
    if not (off <= SUM_TOLERANCE and rows.min() >= 0):  # not the other way round: NaN fails it as well
        raise ShapeError(
            found=f"values of {rows.min():.3g} to {rows.max():.3g} whose sum over the classes is not 1",
            expected="probabilities: 0 to 1, sum 1 over the classes",
            fix="take the softmax of logits first",
        )
