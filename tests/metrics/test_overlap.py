"""Overlaps against tables counted pixel by pixel, matchings against all that there are."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from label_pairs import label_pairs
from uvala.errors import ShapeError
from uvala.metrics.overlap import match, overlaps

CASES = 1000


def numbers(labels):
    return [int(number) for number in np.unique(labels) if number]


def iou_by_definition(prediction, truth):
    """The dense table [P, T]."""
    table = [[((prediction == p) & (truth == t)).sum() / ((prediction == p) | (truth == t)).sum()
              for t in numbers(truth)] for p in numbers(prediction)]  # fmt: skip
    return np.array(table).reshape(len(numbers(prediction)), len(numbers(truth)))


def dense(found):
    table = np.zeros((found.predicted_ids.size, found.true_ids.size))
    table[found.predicted, found.true] = found.iou
    return table


def best_by_trying_all(table, threshold):
    """Most pairs above the threshold, then the largest sum of their IoU."""
    rows, columns = sorted(table.shape)
    table = table if table.shape == (rows, columns) else table.T
    outcomes = [(0, 0.0)]
    for order in permutations(range(columns), rows):
        taken = [table[row, column] for row, column in enumerate(order) if table[row, column] > threshold]
        outcomes.append((len(taken), sum(taken)))
    return max(outcomes)


def greedily_by_definition(table, threshold):
    """The largest IoU left is taken, its row and column are crossed out."""
    left, taken = table.copy(), []
    while left.size and left.max() > threshold:
        row, column = np.unravel_index(left.argmax(), left.shape)
        taken.append(left[row, column])
        left[row], left[:, column] = 0, 0
    return taken


class TestOverlaps:
    """What the objects of two maps share."""

    def test_equals_a_table_counted_pair_by_pair(self):
        for prediction, truth in label_pairs(CASES):
            found = overlaps(prediction, truth)
            assert found.predicted_ids.tolist() == numbers(prediction)
            assert found.true_ids.tolist() == numbers(truth)
            assert found.predicted_areas.tolist() == [(prediction == p).sum() for p in numbers(prediction)]
            assert found.true_areas.tolist() == [(truth == t).sum() for t in numbers(truth)]
            assert_allclose(dense(found), iou_by_definition(prediction, truth), rtol=0)

    def test_pairs_are_sorted_and_share_at_least_a_pixel(self):
        for prediction, truth in label_pairs(200, seed=1):
            found = overlaps(prediction, truth)
            pairs = [*zip(found.predicted.tolist(), found.true.tolist(), strict=True)]
            assert pairs == sorted(set(pairs))
            assert (found.intersections > 0).all()

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.uint64])
    def test_takes_any_integer_type(self, dtype):
        prediction, truth = np.array([[0, 7, 7]]), np.array([[3, 3, 0]])
        maps = prediction.astype(dtype), truth.astype(dtype)
        assert overlaps(*maps).iou.tolist() == [1 / 3]
        assert overlaps(*maps, counted=prediction > 0).iou.tolist() == [1 / 2]

    def test_numbers_may_be_as_large_as_they_like(self):
        truth = np.array([[0, 2**40, 2**40, 2**41]])
        assert overlaps(truth, truth).true_ids.tolist() == [2**40, 2**41]

    def test_many_small_objects_need_no_dense_table(self):
        pixels = np.arange(1, 90_001).reshape(300, 300)
        assert match(overlaps(pixels, pixels[::-1]), 0.5).iou.sum() == 90_000

    def test_an_object_mostly_outside_the_region_is_left_out_and_the_rest_is_cut(self):
        rng = np.random.default_rng(0)
        for prediction, truth in label_pairs(CASES, seed=2):
            counted = rng.random(truth.shape) < rng.random()
            cut = []
            for labels in (prediction, truth):
                gone = [
                    n for n in numbers(labels) if ((labels == n) & ~counted).sum() > (labels == n).sum() / 2
                ]
                cut.append(np.where(counted & ~np.isin(labels, gone), labels, 0))
            found, expected = overlaps(prediction, truth, counted=counted), overlaps(*cut)
            assert_array_equal(found.predicted_ids, expected.predicted_ids)
            assert_array_equal(found.true_areas, expected.true_areas)
            assert_array_equal(dense(found), dense(expected))

    def test_a_mask_or_a_probability_is_refused(self):
        labels = np.ones((2, 2), int)
        for wrong in (labels > 0, labels * 0.5, labels[None], -labels):
            with pytest.raises(ShapeError):
                overlaps(wrong, labels if wrong.ndim == 2 else wrong)
        with pytest.raises(ShapeError, match="not of a resized copy"):
            overlaps(labels, labels[:1])


class TestMatch:
    """Each object has at most one partner."""

    @pytest.mark.parametrize("threshold", [0, 0.1, 0.3, 0.5, 0.7])
    def test_hungarian_is_the_best_of_all_matchings(self, threshold):
        for pair in label_pairs(CASES // 5, seed=3, objects=4):
            found = overlaps(*pair)
            if max(dense(found).shape) > 5:
                continue
            pairs = match(found, threshold)
            count, total = best_by_trying_all(dense(found), threshold)
            assert (pairs.iou.size, pairs.iou.sum()) == (count, pytest.approx(total, abs=1e-12))

    @pytest.mark.parametrize("threshold", [0, 0.1, 0.3, 0.5, 0.7])
    def test_greedy_takes_the_best_pair_that_is_left(self, threshold):
        for pair in label_pairs(CASES // 5, seed=4):
            found = overlaps(*pair)
            taken = sorted(match(found, threshold, "greedy").iou)
            assert_allclose(taken, sorted(greedily_by_definition(dense(found), threshold)), rtol=0)

    def test_both_methods_agree_from_half_up(self):
        for pair in label_pairs(CASES, seed=5):
            found = overlaps(*pair)
            for threshold in (0.5, 0.6, 0.75, 0.95):
                one, other = match(found, threshold), match(found, threshold, "greedy")
                assert_array_equal(one.predicted, other.predicted)
                assert_array_equal(one.true, other.true)

    def test_below_half_the_best_pair_can_cost_two(self):
        prediction = np.array([[0, 0, 1, 1, 1, 1, 1, 2, 2, 2]])
        truth = np.array([[2, 2, 2, 1, 1, 1, 1, 1, 1, 0]])  # 1 and 1: 4 / 7; 1 and 2: 1 / 7; 2 and 1: 2 / 7
        found = overlaps(prediction, truth)
        assert match(found, 0.1, "greedy").iou.tolist() == [4 / 7]
        assert match(found, 0.1, "hungarian").iou.tolist() == [1 / 7, 2 / 7]

    def test_no_object_has_two_partners(self):
        for pair in label_pairs(300, seed=6):
            for method in ("hungarian", "greedy"):
                pairs = match(overlaps(*pair), 0.05, method)
                assert np.unique(pairs.predicted).size == np.unique(pairs.true).size == pairs.iou.size

    def test_an_iou_equal_to_the_threshold_is_no_match(self):
        found = overlaps(np.array([[1, 1]]), np.array([[1, 0]]))
        assert found.iou.tolist() == [0.5]
        assert match(found, 0.5).iou.size == 0

    @pytest.mark.parametrize("threshold", [-0.1, 1, 50, float("nan")])
    def test_impossible_thresholds_are_refused(self, threshold):
        with pytest.raises(ShapeError, match="0 to below 1"):
            match(overlaps(np.ones((1, 1), int), np.ones((1, 1), int)), threshold)

    def test_unknown_methods_are_refused(self):
        with pytest.raises(ShapeError, match="hungarian"):
            match(overlaps(np.ones((1, 1), int), np.ones((1, 1), int)), 0.5, "optimal")
