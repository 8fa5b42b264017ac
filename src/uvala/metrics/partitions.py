"""How well a partition of an image into cells agrees with the true one, for electron microscopy.

Restricted to the foreground: pixels where truth is 0 (membrane) are left out, so that where within a
membrane a border runs costs nothing. Over the remaining n pixels, p_ij is the share that lies in predicted
segment i and true segment j, s_i its sum over j and t_j its sum over i:

    V_rand   split = sum p_ij^2 / sum t_j^2   merge = sum p_ij^2 / sum s_i^2   F = 2 / (1 / split + 1 / merge)
    V_info   split = I(S;T) / H(S)            merge = I(S;T) / H(T)            F = 2 / (1 / split + 1 / merge)

Of two pixels that truth puts together, V_rand's split score is the chance that the prediction does, too:
splits lower it and mergers do not. Mergers lower the merge score. A pixel makes a pair with itself (n^2
pairs), as in the paper.

Source: Arganda-Carreras et al. (2015), "Crowdsourcing the creation of image segmentation algorithms for
connectomics", doi 10.3389/fnana.2015.00142, with alpha = 0.5. What it leaves open is settled as the
challenge's own program does: predicted 0 inside a true segment makes a segment of each pixel (`zeros`),
truth is never thinned, and the score of a data set is the best over thresholds of the mean over its images.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from skimage import metrics

from uvala.errors import ShapeError
from uvala.metrics.contingency import contingency, require_counted, require_labels, require_same_shape

__all__ = [
    "Disagreement",
    "FScore",
    "Zeros",
    "adapted_rand_error",
    "same_partition",
    "v_info",
    "v_rand",
    "v_rand_and_info",
    "variation_of_information",
]

Zeros = Literal["pixels", "segment", "excluded"]
"""What predicted zeros inside a true segment are: a segment per pixel, one segment together, left out."""

ZEROS: tuple[Zeros, ...] = ("pixels", "segment", "excluded")
NAN = float("nan")


class _WithParts(float):
    """A number with what splits and what mergers do to it; it can be copied and pickled with them."""

    split: float
    merge: float

    def __new__(cls, value: float, split: float, merge: float) -> Self:
        """The number and its two parts."""
        self = super().__new__(cls, value)
        self.split, self.merge = float(split), float(merge)
        return self

    def __getnewargs__(self) -> tuple[float, float, float]:  # type: ignore[override]
        return float(self), self.split, self.merge


class FScore(_WithParts):
    """An agreement, 0 to 1, more is better; `split` falls with splits, `merge` falls with mergers."""


class Disagreement(_WithParts):
    """An error, 0 for equal partitions, less is better; `split` grows with splits, `merge` with mergers."""


def v_rand(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    zeros: Zeros = "pixels",
    counted: NDArray[np.bool_] | None = None,
) -> FScore:
    """Foreground-restricted Rand F-score of two label maps, 0 to 1, with its split and merge parts.

    prediction, truth: integers [H, W], 0 between segments. counted: bool [H, W], True where pixels count;
    None: all. zeros: what a predicted 0 on a pixel of a true segment means. "pixels": each is a segment of
    its own, as the challenge scores; "segment": all of them are one segment; "excluded": those pixels are
    left out.

    NaN without a counted pixel in a true segment, whatever is predicted: absent. With such pixels and
    nothing predicted: what the formulas give (each pixel a segment: small, not 0), and 0 if zeros are
    excluded. Raises ShapeError for anything but two label maps of one shape. Source: equation (3) of
    the paper above.
    """
    return _rand(_foreground(prediction, truth, zeros, counted))


def v_info(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    zeros: Zeros = "pixels",
    counted: NDArray[np.bool_] | None = None,
) -> FScore:
    """Foreground-restricted information F-score of two label maps, 0 to 1, with its split and merge parts.

    Arguments, empty cases and errors as in `v_rand`. Where truth is a single segment there is no
    information to share: 1 if the prediction is a single segment there, too, and 0 for anything else, be it
    one stray pixel. In that case nothing can be merged and merge is 1; likewise split is 1 if the
    prediction is a single segment. Source: equation (6) of the paper above; the 0 / 0 of equal
    single segments is ours (the challenge's program gives 0).
    """
    return _information(_foreground(prediction, truth, zeros, counted))


def v_rand_and_info(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    zeros: Zeros = "pixels",
    counted: NDArray[np.bool_] | None = None,
) -> tuple[FScore, FScore]:
    """`v_rand` and `v_info` of two label maps in the time of one; all else as there."""
    joint = _foreground(prediction, truth, zeros, counted)
    return _rand(joint), _information(joint)


def adapted_rand_error(
    prediction: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None
) -> Disagreement:
    """1 - Rand F-score as SNEMI3D and scikit-image count it, 0 is perfect.

    Its split is 1 - recall, its merge 1 - precision of the pairs of pixels. It differs from 1 - v_rand in two
    points: pairs of a pixel with itself are not counted (n (n - 1) pairs), and all predicted zeros on true
    segments are one segment. So 1 - v_rand(..., zeros="segment") approaches it as segments grow. Not called
    from scikit-image, whose 0.26 gives the same error, but returns precision as recall and vice versa
    (its issue 6485).
    Arguments and errors as in `v_rand`; NaN without a counted pixel in a true segment, and where neither
    partition holds a pair of pixels; a part is NaN if its partition holds none.
    """
    table = contingency(*_restricted(prediction, truth, counted))
    both, predicted, true = map(_pairs, (table.pixels, table.predicted_areas, table.true_areas))
    errors = (
        1 - a / b if b else NAN for a, b in ((2 * both, predicted + true), (both, true), (both, predicted))
    )
    return Disagreement(*errors)


def variation_of_information(
    prediction: NDArray[Any], truth: NDArray[Any], *, counted: NDArray[np.bool_] | None = None
) -> Disagreement:
    """H(S|T) + H(T|S) in bits, 0 is perfect; split is H(S|T), merge H(T|S), from scikit-image.

    S: prediction, T: truth, over the pixels where truth is not 0; all predicted zeros there are one segment.
    Arguments and errors as in `v_rand`; NaN without a counted pixel in a true segment. Source: Meila (2007).
    """
    predicted, true = _restricted(prediction, truth, counted)
    if true.size == 0:
        return Disagreement(NAN, NAN, NAN)
    # from our table: scikit-image's own is as large as the largest number
    table = contingency(predicted, true)
    shares = sparse.csr_array((table.pixels / true.size, (table.true, table.predicted)))
    parts = metrics.variation_of_information(true, predicted, table=shares)
    split, merge = np.maximum(parts, 0.0)  # equal partitions leave -0.0 or -1e-17
    return Disagreement(split + merge, split, merge)


def same_partition(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two label maps hold the same objects, whatever their numbers; background must be the same.

    first, second: integers [H, W], 0 background. False for different shapes; ShapeError if one is no label
    map.
    """
    require_labels(first, "first label map")
    require_labels(second, "second label map")
    if first.shape != second.shape:
        return False
    table = contingency(first, second)
    one_to_one = table.pixels.size == table.predicted_ids.size == table.true_ids.size
    outside = table.predicted_ids[table.predicted] == 0, table.true_ids[table.true] == 0
    return one_to_one and bool((outside[0] == outside[1]).all())


@dataclass(frozen=True, eq=False)
class _Joint:
    """Shares of pixels, float64: of the pairs of segments, of predicted and of true segments; each sums to 1.

    `singles` pixels more are each a predicted segment of their own; their shares are not in pairs and
    predicted.
    """

    pairs: NDArray[np.float64]
    predicted: NDArray[np.float64]
    true: NDArray[np.float64]
    singles: int
    pixels: int
    missed: bool
    """Truth has pixels, and zeros="excluded" has left none of them."""


def _foreground(
    prediction: NDArray[Any], truth: NDArray[Any], zeros: Zeros, counted: NDArray[np.bool_] | None
) -> _Joint:
    return _joint(*_restricted(prediction, truth, counted), zeros)


def _restricted(
    prediction: NDArray[Any], truth: NDArray[Any], counted: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The numbers [n] of both maps on the counted pixels of true segments."""
    require_same_shape(prediction, truth)
    require_labels(prediction, "prediction")
    require_labels(truth, "truth")
    require_counted(counted, truth.shape)
    inside = truth != 0 if counted is None else (truth != 0) & counted
    return prediction[inside], truth[inside]


def _joint(prediction: NDArray[Any], truth: NDArray[Any], zeros: Zeros) -> _Joint:
    """The joint distribution over the pixels [n] of true segments."""
    if zeros not in ZEROS:
        raise ShapeError(
            found=f"zeros = {zeros!r}",
            expected=f"one of {', '.join(ZEROS)}",
            fix='leave it out for the challenge\'s score: "pixels"',
        )
    missed = False
    if zeros == "excluded":
        found = prediction != 0
        missed = truth.size > 0 and not found.any()
        prediction, truth = prediction[found], truth[found]
    table = contingency(prediction, truth)
    nothing = table.predicted_ids[table.predicted] == 0
    single = nothing if zeros == "pixels" else np.zeros_like(nothing)
    areas = table.predicted_areas[table.predicted_ids != 0] if zeros == "pixels" else table.predicted_areas
    n = max(truth.size, 1)
    return _Joint(
        pairs=table.pixels[~single] / n,
        predicted=areas / n,
        true=table.true_areas / n,
        singles=int(table.pixels[single].sum()),
        pixels=truth.size,
        missed=missed,
    )


def _rand(joint: _Joint) -> FScore:
    if joint.pixels == 0:
        return FScore(0, 0, 0) if joint.missed else FScore(NAN, NAN, NAN)
    alone = joint.singles / joint.pixels**2
    together, predicted = _squares(joint.pairs) + alone, _squares(joint.predicted) + alone
    true = _squares(joint.true)
    return FScore(2 * together / (predicted + true), together / true, together / predicted)


def _information(joint: _Joint) -> FScore:
    if joint.pixels == 0:
        return FScore(0, 0, 0) if joint.missed else FScore(NAN, NAN, NAN)
    alone = joint.singles / joint.pixels * np.log(joint.pixels)
    predicted, true = _entropy(joint.predicted) + alone, _entropy(joint.true)
    shared = predicted + true - (_entropy(joint.pairs) + alone)
    shared = min(max(shared, 0.0), predicted, true)  # rounding alone can leave this range
    return FScore(_ratio(2 * shared, predicted + true), _ratio(shared, predicted), _ratio(shared, true))


def _pairs(pixels: NDArray[np.int64]) -> float:
    """Ordered pairs of two different pixels that lie together; floats, for 10^10 pixels have 10^20 pairs."""
    sizes = pixels.astype(np.float64)
    return float(sizes @ (sizes - 1))


def _squares(shares: NDArray[np.float64]) -> float:
    return float(shares @ shares)


def _entropy(shares: NDArray[np.float64]) -> float:
    return -float(shares @ np.log(shares))


def _ratio(part: float, whole: float) -> float:
    """part / whole, 1 where both are 0: a single segment leaves nothing to get wrong."""
    return part / whole if whole > 0 else 1.0
