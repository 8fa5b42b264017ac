"""Scores of probabilities, counted in bins, against sorting, definitions, scikit-learn and torchmetrics."""

import json
import warnings
from functools import cache, reduce
from operator import add

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from torchmetrics.classification import MulticlassCalibrationError

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.metrics.probabilities import BINS, EDGES, count_probabilities
from uvala.metrics.ranking import average_precision, best_f1, roc_auc


def drawn(rng, num_classes, shape, skill=2.0, spread=1.0, ignored=0.0):
    """Probabilities of a network of some skill, and the truth."""
    truth = rng.integers(0, num_classes, shape).astype(np.uint8)
    logits = rng.normal(0, spread, (num_classes, *shape))
    logits += skill * (np.arange(num_classes)[:, None, None] == truth)
    truth[rng.random(shape) < ignored] = IGNORE
    return softmax(logits, axis=0).astype(np.float32), truth


@cache
def random_cases():
    """1,000 triples (K, probabilities, truth): certain and uncertain, single pixels, absent classes."""
    rng = np.random.default_rng(3)
    cases = []
    for number in range(1000):
        shape = [(1, 1), (1, 16), (8, 8), (16, 12)][number % 4]
        num_classes = int(rng.integers(2, 6))
        probabilities, truth = drawn(rng, num_classes, shape, rng.choice([0, 3]), rng.choice([0.3, 2, 8]))
        cases.append((num_classes, probabilities, np.minimum(truth, rng.integers(0, 5)).astype(np.uint8)))
    return cases


def by_definition(probabilities, truth):
    """(confidence, right) of each pixel, float64."""
    p = probabilities.reshape(len(probabilities), -1).astype(float)
    return p.max(axis=0), p.argmax(axis=0) == truth.ravel()


def gaps(probabilities, truth):
    """|accuracy - confidence| and the share of the pixels of each of 15 bins that holds any."""
    confidence, right = by_definition(probabilities, truth)
    for number in range(1, 16):
        inside = (confidence > (number - 1) / 15) & (confidence <= number / 15)
        if inside.any():
            yield abs(right[inside].mean() - confidence[inside].mean()), inside.mean()


def merged_pairs(counts, index):
    """The share of pairs (a positive, a negative) in the same bin of a histogram, half of it."""
    negatives, positives = counts.histograms[index].astype(float)
    return (negatives * positives).sum() / max(negatives.sum() * positives.sum(), 1) / 2


class TestCalibration:
    """ECE, MCE, Brier score and likelihood of 1,000 random cases."""

    def test_ece_and_mce_equal_their_definitions(self):
        for _, probabilities, truth in random_cases():
            counts, expected = count_probabilities(probabilities, truth), [*gaps(probabilities, truth)]
            assert counts.ece == pytest.approx(sum(gap * share for gap, share in expected), abs=1e-6)
            assert counts.mce == pytest.approx(max(gap for gap, _ in expected), abs=1e-6)

    @pytest.mark.parametrize(("norm", "name"), [("l1", "ece"), ("max", "mce")])
    def test_equals_torchmetrics_unless_a_pixel_is_certain(self, norm, name):
        # torchmetrics counts a confidence of exactly 1 as a sixteenth bin
        certain = 0
        for num_classes, probabilities, truth in random_cases()[::5]:
            if probabilities.max() == 1:
                certain += 1
                continue
            metric = MulticlassCalibrationError(num_classes, n_bins=15, norm=norm)
            expected = metric(torch.from_numpy(probabilities)[None], torch.from_numpy(truth)[None].long())
            found = getattr(count_probabilities(probabilities, truth), name)
            assert found == pytest.approx(float(expected), abs=2e-6)
        assert certain < 100

    def test_certainty_belongs_to_the_last_bin(self):
        certain = np.array([[[0.0, 0.04]], [[1.0, 0.96]]])
        rows = count_probabilities(certain, np.array([[1, 0]], np.uint8)).reliability
        assert [row.pixels for row in rows] == [2]
        assert_allclose(rows[0][:2], (0.98, 0.5), atol=1e-7)

    def test_brier_equals_its_definition_and_twice_that_of_scikit_learn_for_two_classes(self):
        for num_classes, probabilities, truth in random_cases():
            counts = count_probabilities(probabilities, truth)
            one_hot = np.arange(num_classes)[:, None, None] == truth
            expected = ((probabilities.astype(float) - one_hot) ** 2).sum(axis=0).mean()
            assert counts.brier == pytest.approx(expected, abs=1e-6)
            if num_classes == 2:
                binary = brier_score_loss(truth.ravel(), probabilities[1].ravel().astype(float), pos_label=1)
                assert counts.binary_brier == pytest.approx(binary, abs=1e-6)
            else:
                assert np.isnan(counts.binary_brier)

    def test_nll_equals_its_definition(self):
        for _, probabilities, truth in random_cases():
            of_truth = np.take_along_axis(probabilities, truth[None].astype(int), axis=0).astype(float)
            expected = -np.log(of_truth.clip(1e-7)).mean()
            assert count_probabilities(probabilities, truth).nll == pytest.approx(expected, abs=1e-6)

    def test_nll_equals_the_log_loss_of_scikit_learn(self):
        for num_classes, probabilities, truth in random_cases()[::10]:
            flat = probabilities.reshape(num_classes, -1).T.astype(float).clip(1e-7)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The y_prob values do not sum to one")  # float32 sums
                expected = log_loss(truth.ravel(), flat, labels=range(num_classes))
            assert count_probabilities(probabilities, truth).nll == pytest.approx(expected, abs=2e-6)

    def test_an_impossible_truth_adds_16_nats_and_not_infinity(self):
        impossible = count_probabilities(np.array([[[1.0]], [[0.0]]]), np.array([[1]], np.uint8))
        assert impossible.nll == pytest.approx(-np.log(1e-7))
        assert impossible.brier == 2

    def test_of_equal_classes_the_first_is_the_prediction(self):
        half = np.full((2, 1, 4), 0.5)
        rows = count_probabilities(half, np.array([[0, 0, 0, 1]], np.uint8)).reliability
        assert [tuple(row) for row in rows] == [(0.5, 0.75, 4)]


class TestBins:
    """The bins of the histograms: what they keep and what they lose."""

    def test_edges_rise_from_0_to_1_and_mirror_each_other(self):
        assert (len(EDGES), EDGES[0], EDGES[-1]) == (BINS, 0, 1)
        assert (np.diff(EDGES) > 0).all()
        assert_array_equal(EDGES, 1 - EDGES[::-1])

    def test_are_at_most_0_4_percent_wide_in_both_tails(self):
        low = EDGES[1 : BINS // 2]
        assert (np.diff(low) / low[:-1]).max() <= 1 / 256

    def test_each_probability_lies_in_the_bin_that_begins_at_or_below_it(self):
        rng = np.random.default_rng(4)
        small, near_one = 10.0 ** rng.uniform(-9, 0, 500), 1 - 10.0 ** rng.uniform(-7, 0, 500)
        p = np.concatenate([rng.random(500), small, near_one, EDGES, np.nextafter(EDGES, -1), [0, 0.5, 1]])
        p = p.clip(0, 1).astype(np.float32)
        counts = count_probabilities(np.stack([1 - p, p])[:, None], np.ones((1, p.size), np.uint8))
        expected = np.searchsorted(EDGES, p.astype(float), side="right") - 1
        assert_array_equal(counts.histograms[1, 1], np.bincount(expected, minlength=BINS))

    def test_roc_auc_differs_from_sorting_by_no_more_than_the_pairs_within_a_bin(self):
        for num_classes, probabilities, truth in random_cases():
            counts = count_probabilities(probabilities, truth)
            found = counts.roc_auc
            for index in range(num_classes):
                exact = roc_auc(probabilities[index], truth == index)
                bound = merged_pairs(counts, index) + 1e-12
                assert found[index] == pytest.approx(exact, abs=bound, nan_ok=True)

    @pytest.mark.parametrize("spread", [1, 5])
    def test_on_an_image_all_scores_agree_with_sorting_to_4_digits(self, spread):
        rng = np.random.default_rng(5)
        probabilities, truth = drawn(rng, 2, (200, 200), skill=2 * spread, spread=spread)
        counts, positive = count_probabilities(probabilities, truth), truth.ravel() == 1
        scores = probabilities[1].ravel()
        assert counts.roc_auc[1] == pytest.approx(roc_auc_score(positive, scores), abs=1e-5)
        expected = average_precision_score(positive, scores)
        assert counts.average_precision[1] == pytest.approx(expected, abs=1e-4)
        assert counts.best_f1(1).f1 == pytest.approx(best_f1(scores, positive).f1, abs=1e-4)

    def test_a_few_probabilities_far_apart_lose_nothing(self):
        p = np.array([0.1, 0.2, 0.2, 0.6, 0.9, 0.99, 0.999, 1.0], np.float32)
        truth = np.array([0, 1, 0, 0, 1, 0, 1, 1], np.uint8)
        counts = count_probabilities(np.stack([1 - p, p])[:, None], truth[None])
        assert counts.roc_auc[1] == pytest.approx(roc_auc(p, truth), abs=1e-12)
        assert counts.average_precision[1] == pytest.approx(average_precision(p, truth), abs=1e-12)
        assert counts.best_f1(1).f1 == pytest.approx(best_f1(p, truth).f1, abs=1e-12)


@pytest.fixture(scope="module")
def image():
    return drawn(np.random.default_rng(6), 3, (60, 60))


class TestThresholdCurve:
    """What each threshold brings."""

    def test_equals_a_recount_at_each_threshold(self, image):
        probabilities, truth = image
        curve = count_probabilities(*image).threshold_curve(2, points=40)
        for threshold, precision, recall, f1, fall_out in zip(*curve, strict=True):
            found, true = probabilities[2] >= threshold, truth == 2
            hits = (found & true).sum()
            assert (precision, recall) == pytest.approx((hits / found.sum(), hits / true.sum()), abs=1e-12)
            assert f1 == pytest.approx(2 * hits / (found.sum() + true.sum()), abs=1e-12)
            assert fall_out == pytest.approx((found & ~true).sum() / (~true).sum(), abs=1e-12)

    def test_keeps_few_points_that_lie_close_and_both_ends(self, image):
        counts = count_probabilities(*image)
        curve, whole = counts.threshold_curve(1, points=100), counts.threshold_curve(1)
        assert 80 <= len(curve.f1) <= 100
        for column in (curve.thresholds, curve.recall, curve.false_positive_rate):
            assert np.abs(np.diff(column)).max() <= 0.05
        assert [column[0] for column in curve] == [column[0] for column in whole]
        assert [column[-1] for column in curve] == [column[-1] for column in whole]

    def test_best_f1_is_the_largest_of_the_curve(self, image):
        counts = count_probabilities(*image)
        curve, best = counts.threshold_curve(1), counts.best_f1(1)
        assert best.f1 == curve.f1.max()
        assert best.threshold in curve.thresholds[curve.f1 == curve.f1.max()]

    def test_there_is_no_class_that_was_not_counted(self, image):
        with pytest.raises(ShapeError, match="class 3"):
            count_probabilities(*image).threshold_curve(3)


class TestCounting:
    """Images add up; what does not count changes nothing."""

    def test_the_counts_of_the_parts_are_those_of_the_whole(self):
        probabilities, truth = drawn(np.random.default_rng(7), 3, (24, 24))
        halves = slice(9), slice(9, 24)
        parts = [count_probabilities(probabilities[:, rows], truth[rows]) for rows in halves]
        summed, whole = reduce(add, parts), count_probabilities(probabilities, truth)
        assert_array_equal(summed.histograms, whole.histograms)
        assert_allclose(summed.reliability, whole.reliability)
        assert (summed.brier, summed.nll) == pytest.approx((whole.brier, whole.nll))

    def test_more_pixels_than_fit_into_a_chunk_are_all_counted(self):
        probabilities, truth = drawn(np.random.default_rng(8), 2, (300, 500), ignored=0.1)
        counts = count_probabilities(probabilities, truth)
        assert counts.pixels == (truth != IGNORE).sum()
        assert counts.histograms.sum(axis=(1, 2)).tolist() == [counts.pixels] * 2

    def test_pixels_that_do_not_count_may_hold_anything(self):
        probabilities, truth = drawn(np.random.default_rng(9), 3, (16, 16))
        counted = np.random.default_rng(9).random((16, 16)) < 0.6
        wild = np.where(counted, probabilities, np.nan)
        expected = count_probabilities(probabilities[:, counted][:, None], truth[counted][None]).summary()
        assert count_probabilities(wild, truth, counted=counted).summary() == expected
        assert count_probabilities(wild, np.where(counted, truth, np.uint8(IGNORE))).summary() == expected

    @pytest.mark.parametrize("shape", [(0, 5), (4, 4)])
    def test_without_a_counted_pixel_there_are_no_scores(self, shape):
        counts = count_probabilities(np.full((2, *shape), 0.5), np.full(shape, IGNORE, np.uint8))
        assert counts.pixels == 0
        assert np.isnan([counts.ece, counts.mce, counts.brier, counts.nll, *counts.roc_auc]).all()

    def test_a_class_that_is_not_there_has_no_score_and_spoils_no_other(self):
        probabilities, truth = drawn(np.random.default_rng(10), 3, (16, 16))
        counts = count_probabilities(probabilities, np.minimum(truth, 1).astype(np.uint8))
        assert_array_equal(np.isnan(counts.average_precision), [False, False, True])
        assert np.isnan(counts.best_f1(2)).all()

    def test_the_summary_is_small_and_every_reader_of_json_can_read_it(self):
        probabilities, truth = drawn(np.random.default_rng(11), 3, (32, 32))
        summary = count_probabilities(probabilities, np.minimum(truth, 1).astype(np.uint8)).summary()
        text = json.dumps(summary, allow_nan=False)
        assert len(text) < 60_000
        assert json.loads(text)["average_precision"][2] is None

    def test_counts_of_different_classes_do_not_add_up(self):
        rng = np.random.default_rng(12)
        with pytest.raises(ShapeError, match="counts of 2 and of 3 classes"):
            count_probabilities(*drawn(rng, 2, (4, 4))) + count_probabilities(*drawn(rng, 3, (4, 4)))


class TestRefusals:
    """What is no probability is refused."""

    TRUTH = np.zeros((2, 2), np.uint8)

    @pytest.mark.parametrize(
        ("probabilities", "truth", "found"),
        [
            (np.full((2, 2, 3), 0.5), TRUTH, r"float64 \[2, 2, 3\] for a truth uint8 \[2, 2\]"),
            (np.full((1, 2, 2), 1.0), TRUTH, r"\[1, 2, 2\]"),
            (np.ones((2, 2, 2), int), TRUTH, "int64"),
            (np.full((2, 2, 2), 0.5), TRUTH.astype(int), "truth int64"),
            (np.full((2, 2, 2), 0.5), TRUTH + np.uint8(2), "a truth with class 2"),
            (np.full((2, 2, 2), 3.0), TRUTH, "sum over the classes is not 1"),
            (np.stack([TRUTH - 0.5, TRUTH + 1.5]), TRUTH, "values of -0.5 to 1.5"),
            (np.full((2, 2, 2), np.nan), TRUTH, "values of nan"),
        ],
    )
    def test_says_what_does_not_fit(self, probabilities, truth, found):
        with pytest.raises(ShapeError, match=found):
            count_probabilities(probabilities, truth)
