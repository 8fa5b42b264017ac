"""Rankings against scikit-learn and against the pairs and thresholds of their definitions."""

import warnings
from functools import cache

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.metrics.ranking import average_precision, best_f1, curve_through, roc_auc


@cache
def random_cases():
    """1,000 pairs (scores, truth): few and many ties, one class only, single pixels, rows."""
    rng = np.random.default_rng(1)
    cases = []
    for number in range(1000):
        shape = [(1, 1), (1, 12), (8, 8), (12, 5)][number % 4]
        truth = rng.random(shape) < rng.choice([0, 0.05, 0.5, 0.95, 1])
        scores = rng.random(shape).astype(rng.choice(["f4", "f8"])) + truth * rng.choice([0, 0.4])
        cases.append((np.round(scores, rng.choice([0, 1, 2, 9])), truth))
    return cases


def of_pairs(scores, truth):
    """ROC AUC by its meaning: how often a positive scores higher than a negative, ties half."""
    above = np.subtract.outer(scores[truth].astype(float), scores[~truth].astype(float))
    return ((above > 0).mean() + (above == 0).mean() / 2) if above.size else np.nan


def f1_at(scores, truth, threshold):
    found = scores >= threshold
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


class TestAgainstScikitLearn:
    """1,000 random cases; where scikit-learn warns, ours is NaN."""

    def test_roc_auc(self):
        for scores, truth in random_cases():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                expected = roc_auc_score(truth.ravel(), scores.ravel())
            assert roc_auc(scores, truth) == pytest.approx(expected, abs=1e-9, nan_ok=True)

    def test_average_precision(self):
        for scores, truth in random_cases():
            expected = average_precision_score(truth.ravel(), scores.ravel()) if truth.any() else np.nan
            assert average_precision(scores, truth) == pytest.approx(expected, abs=1e-9, nan_ok=True)

    def test_best_f1_is_the_largest_of_the_curve_and_its_threshold_reaches_it(self):
        for scores, truth in random_cases():
            if not truth.any():
                assert np.isnan(best_f1(scores, truth)).all()
                continue
            precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
            expected = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
            f1, threshold = best_f1(scores, truth)
            assert f1 == pytest.approx(expected, abs=1e-9)
            assert f1_at(scores, truth, threshold) == pytest.approx(f1, abs=1e-9)


class TestRocAuc:
    """The probability that a positive scores higher."""

    def test_equals_the_comparison_of_all_pairs(self):
        for scores, truth in random_cases():
            assert roc_auc(scores, truth) == pytest.approx(of_pairs(scores, truth), abs=1e-9, nan_ok=True)

    def test_of_a_perfect_ranking_is_1_and_of_none_a_half(self):
        truth = np.array([[0, 0, 1]])
        assert roc_auc(np.array([[0.1, 0.2, 0.3]]), truth) == 1
        assert roc_auc(np.zeros((1, 3)), truth) == 0.5

    @pytest.mark.parametrize("truth", [np.zeros((2, 2), bool), np.ones((2, 2), bool), np.zeros((0, 4), bool)])
    def test_with_only_one_kind_of_pixel_there_is_none(self, truth):
        assert np.isnan(roc_auc(np.ones(truth.shape), truth))


class TestWhatCounts:
    """A pixel that is ignored in the truth or not counted might as well not be there."""

    @pytest.mark.parametrize("score", [roc_auc, average_precision, lambda *a, **k: best_f1(*a, **k).f1])
    def test_pixels_that_do_not_count_change_nothing(self, score):
        rng = np.random.default_rng(2)
        scores, truth = rng.random((8, 8)), rng.integers(0, 2, (8, 8)).astype(np.uint8)
        counted = rng.random((8, 8)) < 0.7
        expected = score(scores[counted], truth[counted])
        assert score(scores, truth, counted=counted) == expected
        assert score(scores, np.where(counted, truth, IGNORE)) == expected


class TestRefusals:
    """What is no ranking of a class is refused."""

    @pytest.mark.parametrize(
        ("scores", "truth", "found"),
        [
            (np.zeros((2, 2)), np.zeros((2, 3), bool), r"scores of shape \(2, 2\)"),
            (np.zeros((2, 2)), np.full((2, 2), 2), "other values than 0 and 1"),
            (np.zeros((2, 2)), np.zeros((2, 2)), "type float64"),
            (np.full((2, 2), np.nan), np.zeros((2, 2), bool), "not a number"),
        ],
    )
    def test_says_what_does_not_fit(self, scores, truth, found):
        with pytest.raises(ShapeError, match=found):
            roc_auc(scores, truth)


class TestCurve:
    """Precision, recall, F1 and false positive rate at each threshold."""

    THRESHOLDS = np.array([0.9, 0.5, 0.2, 0.0])
    TP, FP = np.array([0, 3, 3, 4]), np.array([0, 1, 2, 6])

    def test_equals_a_count_by_hand_and_leaves_out_thresholds_that_find_nothing(self):
        curve = curve_through(self.THRESHOLDS, self.TP, self.FP)
        assert curve.thresholds.tolist() == [0, 0.2, 0.5]
        assert curve.precision.tolist() == [4 / 10, 3 / 5, 3 / 4]
        assert curve.recall.tolist() == [1, 3 / 4, 3 / 4]
        assert curve.f1.tolist() == [8 / 14, 6 / 9, 6 / 8]
        assert curve.false_positive_rate.tolist() == [1, 2 / 6, 1 / 6]

    def test_of_no_pixels_is_empty(self):
        nothing = np.zeros(4, int)
        curve = curve_through(self.THRESHOLDS, nothing, nothing, points=9)
        assert [len(column) for column in curve] == [0] * 5
