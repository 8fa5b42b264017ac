"""How far two outlines are from each other: Hausdorff, HD95, average distance, surface Dice, boundary IoU.

An outline runs between pixels, and what is measured is its length (outlines.py). This is the definition of
Nikolov et al. (2018), arXiv:1809.04430, and of their package surface-distance, with which the numbers agree.
Libraries disagree: MONAI (unless told `use_subvoxels`) and medpy take the object's edge pixels, those that an
erosion removes, and count each once; medpy's HD95 is a percentile of both directions thrown together, here
and in MONAI it is the larger of the two. Ours because both sides of a membrane one pixel wide are the same
edge pixels, though two outlines; and because the number of edge pixels depends on how an edge is turned and
on which way pixels are longer, and its length does not.

Empty cases: without any outline in either there is no score, NaN (`absent`). With an outline in only one of
the two (`missed`, `spurious`), distances are infinite and overlaps 0. No case is left out silently.
"""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from uvala.errors import ShapeError
from uvala.metrics.outlines import Outline, Spacing, distances_to, outline_of
from uvala.metrics.pixels import mask_pair

__all__ = [
    "SurfaceDistances",
    "average_surface_distance",
    "boundary_iou",
    "hausdorff_distance",
    "hd95",
    "normalised_surface_dice",
    "surface_distances",
]

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

ROUNDING = 1e-9
"""3 pixels of 0.1 mm are within 0.3 mm, though 3 * 0.1 > 0.3 in floating point; surface-distance says no."""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances between two outlines, in both directions, in the unit of the spacing.

    Each direction is sorted by distance and then by length; float64 [N] for the N elements of the
    prediction's outline, [M] for the M of the truth's. If one has none, the other's distances are infinite.
    """

    to_truth: Numbers
    """[N] from each element of the prediction's outline to the nearest of the truth's."""
    prediction_lengths: Numbers
    """[N] how much outline each of these elements is."""
    to_prediction: Numbers
    """[M] from each element of the truth's outline to the nearest of the prediction's."""
    truth_lengths: Numbers
    """[M] how much outline each of these elements is."""

    @property
    def missed(self) -> bool:
        """Only the truth has an outline."""
        return self.to_truth.size == 0 < self.to_prediction.size

    @property
    def spurious(self) -> bool:
        """Only the prediction has an outline."""
        return self.to_prediction.size == 0 < self.to_truth.size

    @property
    def absent(self) -> bool:
        """Neither has an outline."""
        return self.to_truth.size == 0 == self.to_prediction.size

    def hausdorff(self, percentile: float = 100.0) -> float:
        """Distance within which `percentile` % of the outline's length lie, the larger of both directions.

        percentile: 0 to 100; 100 is the Hausdorff distance, 95 the usual robust one. In the unit of the
        spacing; infinity if missed or spurious, NaN if absent. Raises ShapeError for other percentiles.
        Source: Huttenlocher et al. (1993); by length as in Nikolov et al. (2018), arXiv:1809.04430.
        """
        if not 0 <= percentile <= 100:
            raise ShapeError(
                found=f"percentile = {percentile}",
                expected="0 to 100",
                fix="95 is HD95, 100 the largest distance",
            )
        if self.absent or self.missed or self.spurious:
            return float("nan") if self.absent else float("inf")
        return max(
            _percentile(self.to_truth, self.prediction_lengths, percentile),
            _percentile(self.to_prediction, self.truth_lengths, percentile),
        )

    def average(self) -> float:
        """Average symmetric surface distance: the mean over the length of both outlines together.

        In the unit of the spacing; infinity if missed or spurious, NaN if absent. The longer outline weighs
        more; the mean of both directions' means is another measure (MASD). Source: Heimann et al. (2009).
        """
        if self.absent:
            return float("nan")
        way = (self.to_truth * self.prediction_lengths).sum()
        way += (self.to_prediction * self.truth_lengths).sum()
        return float(way / self._length)

    def normalised_dice(self, tolerance: float) -> float:
        """Share of the length of both outlines that is at most `tolerance` from the other one: 0 to 1.

        tolerance: at least 0, in the unit of the spacing; what two experts would differ by. 0 if missed or
        spurious, NaN if absent. Raises ShapeError for a negative tolerance. Also: surface Dice, NSD.
        Source: Nikolov et al. (2018), arXiv:1809.04430.
        """
        if not tolerance >= 0:
            raise ShapeError(
                found=f"tolerance = {tolerance}",
                expected="a distance of at least 0, in the unit of the spacing",
                fix="take what two people who draw the same outline differ by",
            )
        if self.absent:
            return float("nan")
        reach = tolerance * (1 + ROUNDING)
        near = self.prediction_lengths[self.to_truth <= reach].sum()
        near += self.truth_lengths[self.to_prediction <= reach].sum()
        return float(near / self._length)

    @property
    def _length(self) -> float:
        return self.prediction_lengths.sum() + self.truth_lengths.sum()


def surface_distances(
    prediction: Mask, truth: Mask, *, spacing: Spacing = (1.0, 1.0), counted: Mask | None = None
) -> SurfaceDistances:
    """The distances of each outline's elements to the other outline: all scores of this module but one.

    prediction, truth: bool [H, W], same shape; one class or one object. spacing: (row, column) size of a
    pixel. counted: bool [H, W], True where pixels count; None if all do. An element of which one of the four
    pixels does not count is not there: where the region of interest cuts through an object is not its outline
    (the image's border is). Exact, in float64. Raises ShapeError for other shapes, types and spacings.
    """
    if len(spacing) != 2 or not all(0 < side < float("inf") for side in spacing):
        raise ShapeError(
            found=f"spacing = {spacing}",
            expected="two positive numbers: the height and the width of a pixel",
            fix="leave it out to measure in pixels; a volume is scored slice by slice",
        )
    prediction, truth = mask_pair(prediction, truth, counted)
    box = _box(prediction, truth, margin=1)
    unknown = None if counted is None else ~counted[box]
    ours, theirs = (outline_of(mask[box], spacing, unknown) for mask in (prediction, truth))
    return SurfaceDistances(*_sorted(ours, theirs, spacing), *_sorted(theirs, ours, spacing))


def hausdorff_distance(
    prediction: Mask, truth: Mask, *, spacing: Spacing = (1.0, 1.0), counted: Mask | None = None
) -> float:
    """Largest distance between the two outlines; see surface_distances and SurfaceDistances.hausdorff."""
    return surface_distances(prediction, truth, spacing=spacing, counted=counted).hausdorff()


def hd95(
    prediction: Mask, truth: Mask, *, spacing: Spacing = (1.0, 1.0), counted: Mask | None = None
) -> float:
    """95th percentile of the distance; see surface_distances and SurfaceDistances.hausdorff."""
    return surface_distances(prediction, truth, spacing=spacing, counted=counted).hausdorff(95.0)


def average_surface_distance(
    prediction: Mask, truth: Mask, *, spacing: Spacing = (1.0, 1.0), counted: Mask | None = None
) -> float:
    """Mean distance over both outlines; see surface_distances and SurfaceDistances.average."""
    return surface_distances(prediction, truth, spacing=spacing, counted=counted).average()


def normalised_surface_dice(
    prediction: Mask,
    truth: Mask,
    tolerance: float,
    *,
    spacing: Spacing = (1.0, 1.0),
    counted: Mask | None = None,
) -> float:
    """Share of the outlines within the tolerance; see surface_distances, SurfaceDistances.normalised_dice."""
    return surface_distances(prediction, truth, spacing=spacing, counted=counted).normalised_dice(tolerance)


def boundary_iou(
    prediction: Mask, truth: Mask, *, width: int | None = None, counted: Mask | None = None
) -> float:
    """IoU of the two bands along the inside of each outline: 0 to 1; NaN without any outline.

    prediction, truth: bool [H, W], same shape. width: of the bands in pixels, at least 1; None is 2% of the
    image's diagonal, rounded. A pixel of the mask is in its band if the square of `width` pixels around it
    holds background (beyond the image is background, as in the paper's code; a pixel that does not count is
    not). 0 if only one of the two has a band. counted: bool [H, W], True where pixels count; None if all do.
    Raises ShapeError for other shapes, types and widths. Source: Cheng et al. (2021), arXiv:2103.16562.
    """
    prediction, truth = mask_pair(prediction, truth, counted)
    width = max(1, round(0.02 * hypot(*truth.shape))) if width is None else width
    if width < 1:
        raise ShapeError(found=f"width = {width}", expected="at least 1 pixel", fix="leave it out for 2%")
    box = _box(prediction, truth, margin=width)
    unknown = None if counted is None else ~counted[box]
    ours, theirs = (_band(mask[box], unknown, width) for mask in (prediction, truth))
    both = np.count_nonzero(ours | theirs)
    return np.count_nonzero(ours & theirs) / both if both else float("nan")


def _box(prediction: Mask, truth: Mask, margin: int) -> tuple[slice, slice]:
    """The part of the image that holds both masks and `margin` pixels around them."""
    found = [np.flatnonzero(prediction.any(axis=axis) | truth.any(axis=axis)) for axis in (1, 0)]
    if found[0].size == 0:
        return slice(0), slice(0)
    rows, columns = (slice(max(0, at[0] - margin), at[-1] + 1 + margin) for at in found)
    return rows, columns


def _sorted(start: Outline, goal: Outline, spacing: Spacing) -> tuple[Numbers, Numbers]:
    """Distances from start to goal and the lengths of start, by distance, then by length."""
    distances = distances_to(goal, start, spacing)
    order = np.lexsort((start.lengths, distances))
    return distances[order], start.lengths[order]


def _percentile(distances: Numbers, lengths: Numbers, percentile: float) -> float:
    """The first of the sorted distances at which that share of the length is reached."""
    reached = np.cumsum(lengths) / lengths.sum()
    return float(distances[min(int(np.searchsorted(reached, percentile / 100)), len(distances) - 1)])


def _band(mask: Mask, unknown: Mask | None, width: int) -> Mask:
    """The pixels of the mask with background at most `width` rows and columns away."""
    inside = np.pad(mask if unknown is None else mask | unknown, width)
    core = _all_of(_all_of(inside, 2 * width + 1).T, 2 * width + 1).T
    return mask & ~core


def _all_of(rows: Mask, count: int) -> Mask:
    """Of each `count` rows on end, whether all are set: bool [N - count + 1, W]."""
    done = 1
    while done < count:  # windows of 1, 2, 4, ... rows: log2(count) passes instead of count
        step = min(done, count - done)
        rows = rows[:-step] & rows[step:]
        done += step
    return rows
