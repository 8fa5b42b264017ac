"""Is it connected as it should be? Scores of vessels, membranes and roads, where one pixel can matter.

Objects are joined across corners (8 neighbours), background is not (4 neighbours). The two must differ: if
both were 8, the background would pass through a diagonal line of pixels that is whole; if both were 4, that
line would be in pieces and still let nothing pass. It is the object that gets the corners, because a line one
pixel wide must be one in every direction; skeletons are 8-connected for the same reason.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

from uvala.metrics.pixels import mask_pair

__all__ = ["BettiNumbers", "betti_errors", "betti_numbers", "cl_dice"]

Mask = NDArray[np.bool_]

EIGHT = np.ones((3, 3), np.bool_)
PIXELS_PER_OBJECT = 400
"""What it costs to thin an object apart from the others, in pixels that could be thinned in that time."""


class BettiNumbers(NamedTuple):
    """What hangs together in a mask, and what it encloses; or by how much two masks differ in that."""

    components: int
    """Objects, joined across edges and corners (the Betti number b0)."""
    holes: int
    """Background that an object encloses, joined across edges only (b1)."""


def cl_dice(prediction: Mask, truth: Mask, *, counted: Mask | None = None) -> float:
    """Harmonic mean of the share of the predicted skeleton in truth and of the true one in the prediction.

    prediction, truth: bool [H, W], same shape; 0 to 1. NaN if neither holds a pixel, 0 if only one does.
    counted: bool [H, W], True where pixels count, None if all do; what does not count is background before
    the masks are thinned. Raises ShapeError for other shapes and types. Thinned by scikit-image, after Zhang
    and Suen (1984), as in the paper's own metric (its loss has a soft skeleton). A skeleton of another
    algorithm gives another number. Source: Shit et al. (2021), arXiv:2003.07311.
    """
    prediction, truth = mask_pair(prediction, truth, counted)
    ours, theirs = _skeleton(prediction), _skeleton(truth)
    if not (ours.any() or theirs.any()):
        return float("nan")
    right = _covered(ours, truth)  # topology precision
    found = _covered(theirs, prediction)  # topology sensitivity
    return 2 * right * found / (right + found) if right + found else 0.0


def betti_numbers(mask: Mask) -> BettiNumbers:
    """(components, holes) of a mask: how many objects there are, and how many places they enclose.

    mask: bool [H, W]. Objects 8-connected, background 4-connected; background that reaches the border of the
    image is not enclosed. components - holes is the Euler number. Raises ShapeError if it is not bool [H, W].
    """
    mask, _ = mask_pair(mask, mask, None)
    components = ndimage.label(mask, EIGHT)[1]
    pieces = ndimage.label(np.pad(~mask, 1, constant_values=True))[1]
    return BettiNumbers(components, pieces - 1)  # the padding joins all that reaches the border


def betti_errors(prediction: Mask, truth: Mask, *, counted: Mask | None = None) -> BettiNumbers:
    """How many (components, holes) the prediction has too many or too few: absolute differences, ints.

    prediction, truth: bool [H, W], same shape. Always defined; 0 is best, also for two empty masks. counted:
    bool [H, W], True where pixels count, None if all do; the rest is background in both. Numbers of the whole
    image: some papers average over small patches instead (Hu et al. 2019, arXiv:1906.05404). Only numbers
    are compared, not places: a missed object and a spurious one cancel. Raises ShapeError for other shapes
    and types.
    """
    ours, theirs = map(betti_numbers, mask_pair(prediction, truth, counted))
    return BettiNumbers(abs(ours.components - theirs.components), abs(ours.holes - theirs.holes))


def _covered(skeleton: Mask, mask: Mask) -> float:
    """Share of the skeleton that lies in the mask; 0 of no skeleton."""
    return int(np.count_nonzero(skeleton & mask)) / max(int(np.count_nonzero(skeleton)), 1)


def _skeleton(mask: Mask) -> Mask:
    """The mask thinned to lines one pixel wide, bool [H, W]."""
    if not mask.any():
        return mask
    labels, _ = ndimage.label(mask, EIGHT)
    boxes = ndimage.find_objects(labels)
    pixels = sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in boxes)
    if pixels + PIXELS_PER_OBJECT * len(boxes) >= mask.size:
        return skeletonize(mask)
    # thinning looks at the 3x3 pixels around each one, and these are of one object: the result is the same
    skeleton = np.zeros_like(mask)
    for number, box in enumerate(boxes, start=1):
        skeleton[box] |= skeletonize(labels[box] == number)
    return skeleton
