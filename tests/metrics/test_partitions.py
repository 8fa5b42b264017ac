"""Partition scores against their definitions over pixels and pairs of pixels, and against other libraries."""

import math
import pickle
from collections import Counter

import numpy as np
import pytest
import skimage.metrics
from numpy.testing import assert_allclose
from sklearn.metrics import homogeneity_completeness_v_measure
from sklearn.metrics.cluster import pair_confusion_matrix

from label_pairs import label_pairs, renumbered
from uvala.errors import ShapeError
from uvala.metrics.partitions import (
    Disagreement,
    FScore,
    adapted_rand_error,
    same_partition,
    v_info,
    v_rand,
    v_rand_and_info,
    variation_of_information,
)

CASES = 1000
ZEROS = ("pixels", "segment", "excluded")

TWO_CELLS = np.array([[1, 1, 0, 2, 2]] * 4)  # a membrane of one pixel between two cells of eight
ONE_CELL = np.array([[1, 1, 1, 1, 1]] * 4)


def foreground(prediction, truth, zeros="segment"):
    """Predicted and true segment of each pixel of a true segment, by the meaning of `zeros`."""
    pixels = [(int(p), int(t)) for p, t in zip(prediction.flat, truth.flat, strict=True) if t]
    if zeros == "excluded":
        pixels = [(p, t) for p, t in pixels if p]
    if zeros == "pixels":
        pixels = [(p or -place, t) for place, (p, t) in enumerate(pixels, start=1)]
    return pixels


def pairs_in_common(pixels, distinct=False):
    """Ordered pairs of pixels that are together in both partitions, in prediction, in truth."""
    predicted, true = np.array(pixels).T
    same_predicted, same_true = predicted[:, None] == predicted, true[:, None] == true
    alone = len(pixels) if distinct else 0
    return [float(same.sum() - alone) for same in (same_predicted & same_true, same_predicted, same_true)]


def rand_by_definition(prediction, truth, zeros):
    pixels = foreground(prediction, truth, zeros)
    if not pixels:
        return [0.0] * 3 if truth.any() else [math.nan] * 3
    both, predicted, true = pairs_in_common(pixels)
    return [both / (0.5 * predicted + 0.5 * true), both / true, both / predicted]


def information_by_definition(prediction, truth, zeros):
    """F, split, merge: I = sum p_ij log(p_ij / (s_i t_j)); 0 / 0 is 1."""
    pixels = foreground(prediction, truth, zeros)
    if not pixels:
        return [0.0] * 3 if truth.any() else [math.nan] * 3
    n = len(pixels)
    joint, s, t = Counter(pixels), Counter(p for p, _ in pixels), Counter(t for _, t in pixels)
    shared = sum(k / n * math.log(k * n / (s[i] * t[j])) for (i, j), k in joint.items())
    h_s, h_t = (sum(k / n * math.log(n / k) for k in counts.values()) for counts in (s, t))
    ratios = ((2 * shared, h_s + h_t), (shared, h_s), (shared, h_t))
    return [part / whole if whole > 0 else 1.0 for part, whole in ratios]


def parts(score):
    return [float(score), score.split, score.merge]


class TestDefinitions:
    """Each score is its published formula, for each meaning of a predicted zero and in every empty case."""

    @pytest.mark.parametrize("zeros", ZEROS)
    def test_v_rand_counts_pairs_of_pixels(self, zeros):
        found = [parts(v_rand(*pair, zeros=zeros)) for pair in label_pairs(CASES)]
        assert_allclose(found, [rand_by_definition(*pair, zeros) for pair in label_pairs(CASES)], atol=1e-12)

    @pytest.mark.parametrize("zeros", ZEROS)
    def test_v_info_is_normalised_mutual_information(self, zeros):
        found = [parts(v_info(*pair, zeros=zeros)) for pair in label_pairs(CASES)]
        expected = [information_by_definition(*pair, zeros) for pair in label_pairs(CASES)]
        assert_allclose(found, expected, atol=1e-12)

    @pytest.mark.parametrize("zeros", ZEROS)
    def test_both_at_once_are_each_of_them(self, zeros):
        for pair in label_pairs(200, seed=1):
            both = v_rand_and_info(*pair, zeros=zeros)
            each = v_rand(*pair, zeros=zeros), v_info(*pair, zeros=zeros)
            assert_allclose([*map(parts, both)], [*map(parts, each)], rtol=0)

    def test_v_info_is_the_v_measure_of_scikit_learn(self):
        for prediction, truth in label_pairs(300, seed=2):
            predicted, true = prediction[truth > 0], truth[truth > 0]
            if not true.size:
                continue
            homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(true, predicted)
            score = v_info(prediction, truth, zeros="segment")
            assert_allclose(parts(score), [v_measure, completeness, homogeneity], atol=1e-10)

    def test_adapted_rand_error_counts_pairs_of_different_pixels(self):
        for prediction, truth in label_pairs(CASES, seed=3):
            error = adapted_rand_error(prediction, truth)
            pixels = foreground(prediction, truth)
            both, predicted, true = pairs_in_common(pixels, distinct=True) if pixels else (0, 0, 0)
            shares = [(2 * both, predicted + true), (both, true), (both, predicted)]
            assert_allclose(parts(error), [1 - a / b if b else math.nan for a, b in shares], atol=1e-12)

    def test_adapted_rand_error_is_that_of_scikit_image_whose_parts_have_each_others_names(self):
        for prediction, truth in label_pairs(CASES, seed=4):
            if truth.any():
                with np.errstate(invalid="ignore", divide="ignore"):
                    error, precision, recall = skimage.metrics.adapted_rand_error(truth, prediction)
                found = adapted_rand_error(prediction, truth)
                assert_allclose(parts(found), [error, 1 - precision, 1 - recall], atol=1e-12)

    def test_adapted_rand_error_comes_from_the_pair_confusion_matrix_of_scikit_learn(self):
        for prediction, truth in label_pairs(200, seed=4):
            if not truth.any():
                continue
            (_, merged), (split, both) = pair_confusion_matrix(truth[truth > 0], prediction[truth > 0])
            if both + merged and both + split:
                expected = [1 - 2 * both / (2 * both + merged + split), split / (both + split)]
                assert_allclose(parts(adapted_rand_error(prediction, truth))[:2], expected, atol=1e-12)

    def test_variation_of_information_is_two_conditional_entropies_in_bits(self):
        for prediction, truth in label_pairs(CASES, seed=5):
            pixels = foreground(prediction, truth)
            joint, n = Counter(pixels), len(pixels)
            s, t = Counter(p for p, _ in pixels), Counter(t for _, t in pixels)
            split = sum(k / n * math.log2(t[j] / k) for (_, j), k in joint.items()) if n else math.nan
            merge = sum(k / n * math.log2(s[i] / k) for (i, _), k in joint.items()) if n else math.nan
            found = variation_of_information(prediction, truth)
            assert_allclose(parts(found), [split + merge, split, merge], atol=1e-12)


class TestSplitAndMerge:
    """Splits lower the split score alone, mergers the merge score alone."""

    def test_a_cell_cut_in_two_halves(self):
        halves = np.repeat([[1], [2]], 2, axis=0) * np.ones((1, 5), int)
        assert parts(v_rand(halves, ONE_CELL)) == pytest.approx([2 / 3, 1 / 2, 1])
        assert parts(v_info(halves, ONE_CELL)) == pytest.approx([0, 0, 1])
        assert parts(variation_of_information(halves, ONE_CELL)) == pytest.approx([1, 1, 0])

    def test_two_equal_cells_merged(self):
        assert parts(v_rand(ONE_CELL, TWO_CELLS)) == pytest.approx([2 / 3, 1, 1 / 2])
        assert parts(v_info(ONE_CELL, TWO_CELLS)) == pytest.approx([0, 1, 0])
        assert parts(variation_of_information(ONE_CELL, TWO_CELLS)) == pytest.approx([1, 0, 1])

    def test_two_equal_cells_each_cut_in_two(self):
        quarters = TWO_CELLS * [[1], [1], [10], [10]]
        assert parts(v_info(quarters, TWO_CELLS)) == pytest.approx([2 / 3, 1 / 2, 1])
        assert adapted_rand_error(quarters, TWO_CELLS).merge == 0
        assert adapted_rand_error(quarters, TWO_CELLS).split == pytest.approx(
            4 / 7
        )  # 4 of 7 partners are lost


class TestForeground:
    """Only the counted pixels of true segments matter."""

    def test_what_is_predicted_on_membranes_does_not_matter(self):
        assert v_rand(np.where(TWO_CELLS == 0, 1, TWO_CELLS), TWO_CELLS) == 1

    def test_pixels_that_are_not_counted_might_as_well_be_membrane(self):
        rng = np.random.default_rng(0)
        for prediction, truth in label_pairs(100, seed=6):
            counted = rng.random(truth.shape) < 0.7
            for score in (v_rand, v_info, adapted_rand_error, variation_of_information):
                found = score(prediction, truth, counted=counted)
                assert_allclose(parts(found), parts(score(prediction, np.where(counted, truth, 0))))

    def test_numbers_may_be_as_large_as_they_like(self):
        far = TWO_CELLS.astype(np.int64) * 2**40
        assert v_rand(far, TWO_CELLS) == v_info(far, TWO_CELLS) == 1
        assert adapted_rand_error(far, far) == variation_of_information(far, far) == 0

    def test_an_image_without_pixels_has_no_score(self):
        nothing = np.empty((0, 3), int)
        assert np.isnan(parts(v_rand(nothing, nothing)) + parts(v_info(nothing, nothing))).all()
        assert same_partition(nothing, nothing)

    def test_many_segments_are_counted_without_a_dense_table(self):
        single_pixels = np.arange(1, 90_001).reshape(300, 300)
        assert parts(v_rand(single_pixels, single_pixels[::-1])) == [1, 1, 1]


class TestEmpty:
    """Absent is NaN, missed is bad, and one single segment for another is perfect."""

    @pytest.mark.parametrize("score", [v_rand, v_info, adapted_rand_error, variation_of_information])
    def test_nothing_in_truth_is_nan_whatever_is_predicted(self, score):
        assert np.isnan(parts(score(ONE_CELL, 0 * ONE_CELL))).all()
        assert np.isnan(parts(score(ONE_CELL, ONE_CELL, counted=np.zeros((4, 5), bool)))).all()

    def test_nothing_predicted_is_a_segment_per_pixel(self):
        nothing = 0 * ONE_CELL
        assert parts(v_rand(nothing, ONE_CELL)) == pytest.approx([2 / 21, 1 / 20, 1])
        assert v_info(nothing, ONE_CELL) == 0

    def test_nothing_predicted_with_zeros_as_one_segment_is_a_merger_of_all(self):
        assert parts(v_rand(0 * TWO_CELLS, TWO_CELLS, zeros="segment")) == pytest.approx([2 / 3, 1, 1 / 2])

    def test_nothing_predicted_with_zeros_excluded_is_0_rather_than_left_out(self):
        assert parts(v_rand(0 * TWO_CELLS, TWO_CELLS, zeros="excluded")) == [0, 0, 0]
        assert parts(v_info(0 * TWO_CELLS, TWO_CELLS, zeros="excluded")) == [0, 0, 0]

    def test_one_single_segment_for_another_is_perfect(self):
        assert parts(v_info(7 * ONE_CELL, ONE_CELL)) == [1, 1, 1]

    def test_a_single_true_segment_and_one_stray_pixel_share_no_information(self):
        stray = ONE_CELL.copy()
        stray[0, 0] = 2
        assert v_info(stray, ONE_CELL) == 0


class TestSamePartition:
    """Numbers do not matter, everything else does."""

    def test_other_numbers_are_the_same_partition(self):
        rng = np.random.default_rng(0)
        for _, truth in label_pairs(300, seed=7):
            small = truth % 201
            assert same_partition(small, renumbered(small, rng))

    def test_equals_a_comparison_of_all_pairs_of_pixels(self):
        for first, second in label_pairs(CASES, seed=8):
            together = [labels.reshape(-1, 1) == labels.ravel() for labels in (first, second)]
            same = np.array_equal(*together) and np.array_equal(first == 0, second == 0)
            assert same_partition(first, second) == same

    def test_background_is_not_an_object(self):
        assert not same_partition(np.array([[0, 1]]), np.array([[1, 0]]))

    def test_other_shapes_differ(self):
        assert not same_partition(TWO_CELLS, TWO_CELLS[:2])


class TestNumbersWithParts:
    """A score is a number and knows its parts."""

    @pytest.mark.parametrize("kind", [FScore, Disagreement])
    def test_survives_pickling(self, kind):
        again = pickle.loads(pickle.dumps(kind(0.5, 0.25, 0.75)))
        assert (type(again), parts(again)) == (kind, [0.5, 0.25, 0.75])

    def test_counts_as_a_float(self):
        assert f"{v_rand(TWO_CELLS, TWO_CELLS):.2f}" == "1.00"


class TestRefusals:
    """What is no pair of label maps is refused with a way out."""

    def test_a_mask_is_to_be_numbered_first(self):
        with pytest.raises(ShapeError, match="connected_components"):
            v_rand(TWO_CELLS > 0, TWO_CELLS)

    @pytest.mark.parametrize("labels", [TWO_CELLS[:2], TWO_CELLS * 0.5, -TWO_CELLS, TWO_CELLS[None]], ids=str)
    def test_anything_but_numbers_of_objects(self, labels):
        with pytest.raises(ShapeError):
            v_info(labels, np.broadcast_to(TWO_CELLS, labels.shape) if labels.ndim == 3 else TWO_CELLS)

    def test_an_unknown_meaning_of_zeros(self):
        with pytest.raises(ShapeError, match="one of pixels, segment, excluded"):
            v_rand(TWO_CELLS, TWO_CELLS, zeros="ignored")

    def test_a_region_of_another_shape_or_type(self):
        with pytest.raises(ShapeError, match="True where pixels count"):
            v_rand(TWO_CELLS, TWO_CELLS, counted=TWO_CELLS)
