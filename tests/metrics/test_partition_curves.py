"""Thresholds and thinned borders: lines of one pixel, one threshold for all images."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage
from skimage.segmentation import watershed

from label_pairs import label_pairs
from uvala.errors import ShapeError
from uvala.metrics.partition_curves import best_threshold, partition_curve, thin
from uvala.metrics.partitions import FScore, v_info, v_rand

THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 1.0)


def membranes(seed, size=24):
    """Two images of cells of different sizes between thick membranes: probability of a cell, true cells."""
    rng = np.random.default_rng(seed)
    distance = ndimage.distance_transform_edt(rng.random((size, size)) > 0.02)
    probability = np.clip(distance / 6 + rng.normal(0, 0.05, distance.shape), 0, 1)
    return probability, ndimage.label(distance > 2)[0]


def touching(labels):
    """For each pair of neighbours (across an edge) with different numbers, none 0: the two places."""
    for axis in (0, 1):
        places = np.moveaxis(np.indices(labels.shape), axis + 1, 1)
        turned = np.moveaxis(labels, axis, 0)
        one, other = turned[:-1], turned[1:]
        meet = (one != other) & (one > 0) & (other > 0)
        yield from zip(places[:, :-1][:, meet].T.tolist(), places[:, 1:][:, meet].T.tolist(), strict=True)


class TestThin:
    """Segments grow to the nearest pixels until lines of one pixel are left."""

    def test_a_thick_border_becomes_a_line(self):
        row = [1, 1, 0, 0, 0, 2, 2]
        assert_array_equal(thin(np.array([row, row])), [[1, 1, 1, 0, 2, 2, 2]] * 2)

    def test_a_line_stays_a_line(self):
        cells = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 2, 2]])
        assert_array_equal(thin(cells), cells)

    def test_a_border_around_a_single_segment_vanishes(self):
        alone = np.zeros((5, 6), int)
        alone[2, 2] = 4
        assert (thin(alone) == 4).all()

    def test_each_pixel_goes_to_a_nearest_segment_or_to_a_line(self):
        for segments, _ in label_pairs(300):
            thinned, places = thin(segments), np.argwhere(segments)
            for pixel in np.argwhere((segments == 0) & (thinned > 0)):
                steps = np.abs(places - pixel).sum(axis=1)
                nearest = segments[tuple(places[steps == steps.min()].T)]
                assert thinned[tuple(pixel)] in nearest

    def test_segments_keep_their_pixels(self):
        for segments, _ in label_pairs(300, seed=1):
            assert_array_equal(thin(segments)[segments > 0], segments[segments > 0])

    def test_only_segments_that_touched_before_touch_afterwards(self):
        for segments, _ in label_pairs(300, seed=2):
            for one, other in touching(thin(segments)):
                assert segments[*one] > 0
                assert segments[*other] > 0

    def test_lines_have_about_as_many_pixels_as_those_of_the_watershed(self):
        for seed in range(20):
            segments = ndimage.label(membranes(seed, size=64)[0] > 0.6)[0]
            flooded = watershed(np.zeros(segments.shape, np.uint8), segments, watershed_line=True)
            assert (thin(segments) == 0).sum() == pytest.approx((flooded == 0).sum(), rel=0.2)

    def test_a_mask_is_labelled_by_edges_first(self):
        corners = np.array([[True, False], [False, True]])
        assert np.unique(thin(corners)[corners]).size == 2

    def test_without_segments_nothing_grows_and_without_border_nothing_changes(self):
        assert not thin(np.zeros((3, 4), int)).any()
        assert (thin(np.full((3, 4), 9)) == 9).all()

    @pytest.mark.parametrize("seed", range(5))
    def test_scores_as_the_watershed_does_but_for_the_place_of_the_line(self, seed):
        probability, truth = membranes(seed, size=96)
        segments = ndimage.label(probability > 0.6)[0]
        flooded = watershed(np.zeros(segments.shape, np.uint8), segments, watershed_line=True)
        assert v_rand(thin(segments), truth) == pytest.approx(v_rand(flooded, truth), abs=0.02)
        assert v_info(thin(segments), truth) == pytest.approx(v_info(flooded, truth), abs=0.02)


class TestCurve:
    """Each threshold gives the scores of the components above it."""

    @pytest.mark.parametrize("zeros", ["pixels", "segment", "excluded"])
    @pytest.mark.parametrize("thinned", [False, True])
    def test_is_the_scores_of_each_partition(self, thinned, zeros):
        probability, truth = membranes(0)
        counted = np.random.default_rng(0).random(truth.shape) < 0.8
        curve = partition_curve(
            probability, truth, thresholds=THRESHOLDS, thinned=thinned, zeros=zeros, counted=counted
        )
        for threshold, rand, information in zip(curve.thresholds, curve.v_rand, curve.v_info, strict=True):
            cells = ndimage.label(probability > threshold)[0]
            cells = thin(cells) if thinned else cells
            assert rand == v_rand(cells, truth, zeros=zeros, counted=counted)
            assert information == v_info(cells, truth, zeros=zeros, counted=counted)

    def test_the_true_interior_scores_1_at_any_threshold_between(self):
        _, truth = membranes(1)
        curve = partition_curve((truth > 0).astype(np.float32), truth, thresholds=(0.1, 0.5, 0.9))
        assert curve.v_rand == curve.v_info == (1, 1, 1)

    def test_thinning_forgives_thick_borders(self):
        probability, truth = membranes(2)
        thick, thinned = (
            partition_curve(probability, truth, thresholds=[0.6], thinned=thinned)
            for thinned in (False, True)
        )
        assert thinned.v_rand[0].split > thick.v_rand[0].split

    @pytest.mark.parametrize(
        "probability", [np.full((4, 4), 1.5), np.full((4, 4), np.nan), np.ones((4, 4), int), np.ones((2, 2))]
    )
    def test_anything_but_probabilities_of_this_image_is_refused(self, probability):
        with pytest.raises(ShapeError):
            partition_curve(probability, np.ones((4, 4), int), thresholds=[0.5])


class TestBestThreshold:
    """One threshold serves all images."""

    def test_is_the_best_of_the_means_not_the_mean_of_the_best(self):
        curves = [partition_curve(*membranes(seed), thresholds=THRESHOLDS) for seed in range(3)]
        means = np.array([curve.v_rand for curve in curves]).mean(axis=0)
        best = best_threshold(curves)
        assert (best.threshold, best.score) == (THRESHOLDS[means.argmax()], pytest.approx(means.max()))
        assert best.score <= np.mean([max(curve.v_rand) for curve in curves])

    def test_parts_are_means_at_that_threshold(self):
        curves = [partition_curve(*membranes(seed), thresholds=THRESHOLDS) for seed in range(3)]
        best = best_threshold(curves, "v_info")
        at = THRESHOLDS.index(best.threshold)
        assert isinstance(best.score, FScore)
        assert best.score.split == pytest.approx(np.mean([curve.v_info[at].split for curve in curves]))

    def test_images_without_a_cell_are_left_out_and_counted(self):
        probability, truth = membranes(0)
        with_cells = partition_curve(probability, truth, thresholds=THRESHOLDS)
        without = partition_curve(probability, 0 * truth, thresholds=THRESHOLDS)
        assert best_threshold([with_cells, without]) == best_threshold([with_cells])
        assert best_threshold([without]).images == 0
        assert np.isnan(best_threshold([without]).score)

    def test_curves_of_different_thresholds_are_refused(self):
        curves = [partition_curve(*membranes(0), thresholds=[threshold]) for threshold in (0.4, 0.5)]
        with pytest.raises(ShapeError, match="same `thresholds`"):
            best_threshold(curves)
        with pytest.raises(ShapeError, match="0 curves"):
            best_threshold([])
