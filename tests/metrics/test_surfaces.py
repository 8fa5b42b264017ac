"""Distances between outlines, against the package surface-distance, all pairs of corners and closed forms."""

import numpy as np
import pytest
import surface_distance
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from mask_pairs import mask_pairs
from uvala.errors import ShapeError
from uvala.metrics import outlines
from uvala.metrics.surfaces import (
    average_surface_distance,
    boundary_iou,
    hausdorff_distance,
    hd95,
    normalised_surface_dice,
    surface_distances,
)

SPACINGS = [(1.0, 1.0), (0.5, 2.0), (0.7, 1.3), (3.0, 1.0)]
SCORES = [
    hd95,
    hausdorff_distance,
    average_surface_distance,
    lambda p, t, **k: normalised_surface_dice(p, t, 1.0, **k),
]


def rectangle(top, left, bottom, right, shape=(20, 30)):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def pixel_corners(shape):
    """Each corner (row, column), and the slices of the one, two or four pixels around it."""
    for row, column in np.ndindex(shape[0] + 1, shape[1] + 1):
        yield (row, column), np.s_[max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 1]


def outline_by_definition(mask, counted):
    """Corners whose four pixels are known and not all alike, where outside of the image is background."""
    corners = []
    for corner, around in pixel_corners(mask.shape):
        inside, pixels = mask[around].sum(), mask[around].size
        if counted[around].all() and inside > 0 and not (inside == pixels == 4):
            corners.append(corner)
    return np.array(corners, float).reshape(-1, 2)


PERCENTILES, TOLERANCES = (100, 95, 50), (0, 1, 2.25)


def our_scores(ours):
    return [
        *(ours.hausdorff(percentile) for percentile in PERCENTILES),
        *(ours.normalised_dice(tolerance) for tolerance in TOLERANCES),
        ours.average(),
    ]


def their_scores(theirs):
    means = surface_distance.compute_average_surface_distance(theirs)  # one for each direction
    return [
        *(surface_distance.compute_robust_hausdorff(theirs, percentile) for percentile in PERCENTILES),
        *(surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance) for tolerance in TOLERANCES),
        np.average(means, weights=[theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum()]),
    ]


@pytest.fixture
def peer(monkeypatch):
    """The distances of surface-distance; it was written for numpy 1, where infinity was also called Inf."""
    monkeypatch.setattr(np, "Inf", np.inf, raising=False)
    return lambda p, t, spacing: surface_distance.compute_surface_distances(t, p, spacing)


@pytest.mark.filterwarnings(
    "ignore:Please (use|import):DeprecationWarning"
)  # it imports from scipy's old places
class TestAgainstSurfaceDistance:
    """1,000 pairs of masks, pixels that are square and not, objects at the border of the image."""

    def test_every_distance_and_every_score_is_equal(self, peer):
        for number, (prediction, truth) in enumerate(mask_pairs(1000)):
            spacing = SPACINGS[number % 4]
            ours = surface_distances(prediction, truth, spacing=spacing)
            theirs = peer(prediction, truth, spacing)
            assert_allclose(ours.to_truth, theirs["distances_pred_to_gt"], atol=1e-9)
            assert_allclose(ours.to_prediction, theirs["distances_gt_to_pred"], atol=1e-9)
            assert_allclose(ours.prediction_lengths, theirs["surfel_areas_pred"], atol=1e-9)
            assert_allclose(ours.truth_lengths, theirs["surfel_areas_gt"], atol=1e-9)
            if (
                prediction.any() and truth.any()
            ):  # for other pairs they have no mean and call nothing infinite
                assert_allclose(our_scores(ours), their_scores(theirs), atol=1e-9)


class TestAgainstTheDefinition:
    """All pairs of corners, also where pixels do not count."""

    def test_distances_are_those_of_the_nearest_of_all_corners(self):
        rng = np.random.default_rng(3)
        for number, (prediction, truth) in enumerate(mask_pairs(500, seed=2)[::2]):
            counted = rng.random(truth.shape) < rng.choice([0.8, 0.97, 1])
            spacing = SPACINGS[number % 4]
            ours = surface_distances(prediction, truth, spacing=spacing, counted=counted)
            p, t = (outline_by_definition(mask, counted) * spacing for mask in (prediction, truth))
            pairs = np.linalg.norm(p[:, None] - t[None], axis=2)  # [N, M]
            assert_allclose(ours.to_truth, np.sort(pairs.min(axis=1, initial=np.inf)), atol=1e-9)
            assert_allclose(ours.to_prediction, np.sort(pairs.min(axis=0, initial=np.inf)), atol=1e-9)

    @pytest.mark.parametrize("window", [0, 1, 2, 4])
    def test_a_tree_a_transform_and_a_look_around_find_the_same(self, window, monkeypatch):
        monkeypatch.setattr(outlines, "WINDOW", window)
        for number, (prediction, truth) in enumerate(mask_pairs(400, seed=4)[::2]):
            found = []
            for cost_of_a_tree in (0, 10**9):
                monkeypatch.setattr(outlines, "ASKED", cost_of_a_tree)
                monkeypatch.setattr(outlines, "GIVEN", 0)
                found.append(surface_distances(prediction, truth, spacing=SPACINGS[number % 4]).to_truth)
            assert_allclose(*found, atol=1e-12)


class TestClosedForms:
    """Numbers that follow from the drawing."""

    def test_the_outline_of_a_rectangle_is_its_circumference_with_corners_cut(self):
        lengths = surface_distances(
            rectangle(2, 3, 9, 15), rectangle(2, 3, 9, 15), spacing=(3, 4)
        ).truth_lengths
        assert lengths.sum() == pytest.approx(2 * 6 * 3 + 2 * 11 * 4 + 4 * 2.5)

    @pytest.mark.parametrize(("spacing", "expected"), [((1, 1), 5), ((2, 1), 5), ((1, 0.1), 0.5)])
    def test_a_long_object_moved_along_is_as_far_as_it_was_moved(self, spacing, expected):
        prediction, truth = rectangle(0, 5, 20, 15), rectangle(0, 10, 20, 20)
        assert hausdorff_distance(prediction, truth, spacing=spacing) == pytest.approx(expected)

    def test_hd95_leaves_out_the_worst_twentieth_of_the_length(self):
        truth = rectangle(5, 0, 20, 30)
        prediction = truth | rectangle(0, 15, 5, 16)  # a spike of 12 in an outline of about 100
        assert hausdorff_distance(prediction, truth) == 5
        assert hd95(prediction, truth) == 3

    def test_an_outline_moved_by_the_tolerance_is_within_it(self):
        prediction, truth = rectangle(5, 8, 15, 18), rectangle(5, 5, 15, 15)
        assert normalised_surface_dice(prediction, truth, 3) == 1
        assert normalised_surface_dice(prediction, truth, 2.9) < 1

    def test_three_times_a_tenth_is_within_three_tenths(self):
        prediction, truth = rectangle(5, 8, 15, 18), rectangle(5, 5, 15, 15)
        assert normalised_surface_dice(prediction, truth, 0.3, spacing=(0.1, 0.1)) == 1  # 3 * 0.1 > 0.3

    def test_the_mean_is_over_the_length_of_both(self):
        ours = surface_distances(rectangle(5, 5, 8, 9), rectangle(2, 2, 18, 28))
        ways = np.r_[ours.to_truth, ours.to_prediction]
        assert ours.average() == pytest.approx(
            np.average(ways, weights=np.r_[ours.prediction_lengths, ours.truth_lengths])
        )

    @pytest.mark.parametrize(("score", "best"), [*zip(SCORES, [0, 0, 0, 1], strict=True), (boundary_iou, 1)])
    def test_a_perfect_prediction_has_the_best_score(self, score, best):
        assert score(rectangle(2, 3, 9, 15), rectangle(2, 3, 9, 15)) == best

    def test_exchanging_the_two_changes_nothing(self):
        for prediction, truth in mask_pairs(300, seed=5)[::5]:
            for score in (*SCORES, boundary_iou):
                assert_array_equal(score(prediction, truth), score(truth, prediction))


EMPTY, OBJECT = rectangle(0, 0, 0, 0), rectangle(2, 3, 9, 15)


class TestEmptyCases:
    """Nowhere is NaN; in one place only is the worst, and says which."""

    @pytest.mark.parametrize(
        ("prediction", "truth", "state", "distance", "overlap"),
        [
            (EMPTY, EMPTY, "absent", np.nan, np.nan),
            (EMPTY, OBJECT, "missed", np.inf, 0),
            (OBJECT, EMPTY, "spurious", np.inf, 0),
            (OBJECT, OBJECT, None, 0, 1),
            (EMPTY[:0], EMPTY[:0], "absent", np.nan, np.nan),
        ],
        ids=["absent", "missed", "spurious", "found", "no pixels"],
    )
    def test_policy(self, prediction, truth, state, distance, overlap):
        distances = surface_distances(prediction, truth)
        assert [name for name in ("absent", "missed", "spurious") if getattr(distances, name)] == (
            [state] if state else []
        )
        assert_array_equal([score(prediction, truth) for score in SCORES], [distance] * 3 + [overlap])
        assert_array_equal(boundary_iou(prediction, truth), overlap)


class TestWhatCounts:
    """Pixels outside of `counted` are neither object nor outline."""

    def test_nothing_that_is_drawn_there_matters(self):
        rng = np.random.default_rng(6)
        for prediction, truth in mask_pairs(300, seed=7)[::5]:
            counted = ndimage.gaussian_filter(rng.normal(size=truth.shape), 2) < 0.1
            noise = (rng.random(truth.shape) < 0.5) & ~counted
            for score in (*SCORES, boundary_iou):
                expected = score(prediction, truth, counted=counted)
                assert_array_equal(
                    score(prediction ^ noise, truth ^ noise[::-1] & ~counted, counted=counted), expected
                )

    def test_counting_everything_is_counting_without_a_region(self):
        for prediction, truth in mask_pairs(300, seed=8)[::5]:
            for score in (*SCORES, boundary_iou):
                everything = np.ones(truth.shape, bool)
                assert_array_equal(score(prediction, truth, counted=everything), score(prediction, truth))

    def test_the_border_of_the_image_is_an_outline_and_that_of_a_region_is_none(self):
        full, region = np.ones((20, 30), bool), rectangle(4, 4, 16, 26)
        assert not surface_distances(full, full).absent
        assert surface_distances(full, full, counted=region).absent
        assert np.isnan(boundary_iou(full, full, counted=region))

    def test_only_the_outline_inside_of_the_region_is_compared(self):
        truth, region = rectangle(0, 0, 20, 10), rectangle(0, 5, 20, 25)
        prediction = rectangle(0, 8, 20, 12)  # wrong left of the region, where nobody looks, and by 2 inside
        prediction[:, :8] = rectangle(0, 5, 20, 8)[:, :8]
        inside = surface_distances(prediction, truth, counted=region)
        assert inside.hausdorff() == 2


class TestBoundaryIou:
    """IoU of the bands along the inside of the outlines."""

    def test_equals_the_definition_by_repeated_erosion(self):
        for number, (prediction, truth) in enumerate(mask_pairs(1000, seed=9)):
            width = 1 + number % 4
            p, t = (
                mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)
                for mask in (prediction, truth)
            )
            expected = (p & t).sum() / (p | t).sum() if (p | t).any() else np.nan
            assert_allclose(boundary_iou(prediction, truth, width=width), expected, atol=1e-12)

    def test_pixels_that_do_not_count_are_no_background(self):
        rng = np.random.default_rng(10)
        for number, (prediction, truth) in enumerate(mask_pairs(300, seed=11)):
            width, counted = 1 + number % 3, rng.random(truth.shape) < 0.9
            p, t = (
                counted & mask & ~ndimage.binary_erosion(mask | ~counted, np.ones((3, 3)), iterations=width)
                for mask in (prediction, truth)
            )
            expected = (p & t).sum() / (p | t).sum() if (p | t).any() else np.nan
            assert_allclose(
                boundary_iou(prediction, truth, width=width, counted=counted), expected, atol=1e-12
            )

    def test_two_percent_of_the_diagonal_is_the_default(self):
        prediction, truth = rectangle(20, 30, 90, 140, (150, 200)), rectangle(22, 36, 95, 140, (150, 200))
        assert boundary_iou(prediction, truth) == boundary_iou(prediction, truth, width=5)

    def test_is_the_plain_iou_if_the_band_is_as_wide_as_the_object(self):
        prediction, truth = rectangle(5, 8, 15, 18), rectangle(5, 5, 15, 15)
        assert boundary_iou(prediction, truth, width=5) == 70 / 130


class TestImpossibleInput:
    """A number that cannot be right is not computed."""

    @pytest.mark.parametrize(
        ("prediction", "truth", "options", "message"),
        [
            (OBJECT.astype(np.uint8), OBJECT, {}, "a prediction of shape .* type uint8"),
            (OBJECT, OBJECT.astype(float), {}, "a truth of shape .* type float64"),
            (OBJECT[None], OBJECT[None], {}, "two dimensions"),
            (OBJECT[1:], OBJECT, {}, "for a truth of shape"),
            (OBJECT, OBJECT, {"counted": OBJECT[1:]}, "a map of counted pixels of shape"),
            (OBJECT, OBJECT, {"counted": OBJECT.astype(np.uint8)}, "type uint8"),
            (OBJECT, OBJECT, {"spacing": (1, 0)}, r"spacing = \(1, 0\)"),
            (OBJECT, OBJECT, {"spacing": (1, 1, 1)}, r"spacing = \(1, 1, 1\)"),
            (OBJECT, OBJECT, {"spacing": (1, np.nan)}, "two positive numbers"),
        ],
    )
    def test_is_refused_in_words(self, prediction, truth, options, message):
        with pytest.raises(ShapeError, match=message):
            surface_distances(prediction, truth, **options)

    def test_impossible_percentiles_tolerances_and_widths_too(self):
        distances = surface_distances(OBJECT, OBJECT)
        with pytest.raises(ShapeError, match="percentile = 101"):
            distances.hausdorff(101)
        with pytest.raises(ShapeError, match="tolerance = -1"):
            distances.normalised_dice(-1)
        with pytest.raises(ShapeError, match="width = 0"):
            boundary_iou(OBJECT, OBJECT, width=0)
