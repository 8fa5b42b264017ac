"""Scores of objects against counts by hand, their definitions and torchmetrics."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torchmetrics.functional.detection import panoptic_quality

from label_pairs import label_pairs
from uvala.errors import ShapeError
from uvala.metrics.instances import (
    IOU_THRESHOLDS,
    JaccardSums,
    aggregated_jaccard,
    mean_over_images,
    object_counts,
    pooled,
)
from uvala.metrics.overlap import overlaps

CASES = 1000
SCORES = ("ap", "precision", "recall", "f1", "sq", "rq", "pq")

TRUTH = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 2, 2], [0, 0, 0, 0, 0], [3, 3, 3, 3, 0]])
PREDICTION = np.array([[8, 8, 0, 5, 0], [8, 0, 0, 5, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 9]])
# by hand: 8 covers 3 of the 4 pixels of object 1 (IoU 0.75), 5 covers 2 of the 4 of object 2 (IoU 0.5, which
# is not above 0.5), object 3 is missed, 9 is spurious

NOTHING = np.zeros((4, 5), int)


def counts_by_definition(prediction, truth, threshold):
    """TP, FP, FN, sum of IoU: from 0.5 up no object has two partners, so any pair above it counts."""
    predicted, true = (np.unique(labels[labels > 0]) for labels in (prediction, truth))
    table = [((prediction == p) & (truth == t)).sum() / ((prediction == p) | (truth == t)).sum()
             for p in predicted for t in true]  # fmt: skip
    hits = [float(iou) for iou in table if iou > threshold]
    return len(hits), predicted.size - len(hits), true.size - len(hits), sum(hits)


def aji_by_definition(prediction, truth):
    """Algorithm 1 of Kumar et al., object by object."""
    intersection, union, used = 0, 0, set()
    predicted = [int(p) for p in np.unique(prediction) if p]
    for t in (int(t) for t in np.unique(truth) if t):
        shared = [((prediction == p) & (truth == t)).sum() for p in predicted]
        either = [((prediction == p) | (truth == t)).sum() for p in predicted]
        if any(shared):
            best = int(np.argmax(np.divide(shared, either)))
            intersection, union = intersection + shared[best], union + either[best]
            used.add(predicted[best])
        else:
            union += (truth == t).sum()
    union += sum((prediction == p).sum() for p in predicted if p not in used)
    return int(intersection), int(union)


def panoptic_by_torchmetrics(prediction, truth):
    """PQ, SQ, RQ of the objects; their background is a class of its own that is not looked at."""
    maps = [
        torch.tensor(np.stack([labels > 0, labels], -1).astype(np.int64))[None]
        for labels in (prediction, truth)
    ]
    found = panoptic_quality(*maps, things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
    return found.reshape(2, 3)[0].tolist()


class TestCounts:
    """TP, FP and FN at each threshold."""

    def test_equal_a_count_by_hand(self):
        counts = object_counts(overlaps(PREDICTION, TRUTH), thresholds=(0.4, 0.5, 0.75))
        assert counts.true_positives.tolist() == [2, 1, 0]
        assert counts.false_positives.tolist() == [1, 2, 3]
        assert counts.false_negatives.tolist() == [1, 2, 3]
        assert counts.matched_iou.tolist() == [1.25, 0.75, 0]

    def test_equal_their_definition(self):
        for pair in label_pairs(CASES):
            counts = object_counts(overlaps(*pair))
            expected = [counts_by_definition(*pair, threshold) for threshold in IOU_THRESHOLDS]
            found = [
                counts.true_positives,
                counts.false_positives,
                counts.false_negatives,
                counts.matched_iou,
            ]
            assert_allclose(np.transpose(found), expected, atol=1e-12)

    def test_an_iou_of_three_fifths_is_not_above_a_threshold_of_three_fifths(self):
        counts = object_counts(overlaps(np.array([[1, 1, 1, 0, 0]]), np.array([[1, 1, 1, 1, 1]])))
        assert counts.true_positives.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]


class TestScores:
    """Ratios of the counts."""

    def test_equal_numbers_by_hand(self):
        counts = object_counts(
            overlaps(PREDICTION, TRUTH), thresholds=[0.4]
        )  # TP 2, FP 1, FN 1, IoU 0.75 and 0.5
        found = [getattr(counts, score)[0] for score in SCORES]
        assert found == pytest.approx([2 / 4, 2 / 3, 2 / 3, 2 / 3, 0.625, 2 / 3, 0.625 * 2 / 3])

    def test_panoptic_quality_is_that_of_torchmetrics(self):
        for prediction, truth in label_pairs(150, seed=1):
            counts = object_counts(overlaps(prediction, truth), thresholds=[0.5])
            if prediction.any() or truth.any():
                expected = panoptic_by_torchmetrics(prediction, truth)
                assert_allclose([counts.pq[0], counts.sq[0], counts.rq[0]], expected, atol=1e-6)  # float32

    def test_panoptic_quality_is_the_product_of_its_parts(self):
        for pair in label_pairs(200, seed=2):
            counts = object_counts(overlaps(*pair))
            assert_allclose(counts.pq, counts.sq * counts.rq, atol=1e-12)

    def test_f1_is_the_harmonic_mean_of_precision_and_recall(self):
        for pair in label_pairs(200, seed=3):
            counts = object_counts(overlaps(*pair))
            either = counts.precision + counts.recall
            harmonic = 2 * counts.precision * counts.recall / np.where(either == 0, 1, either)
            assert_allclose(counts.f1, harmonic, atol=1e-12)

    def test_mean_ap_is_the_mean_over_ten_thresholds(self):
        found = overlaps(PREDICTION, TRUTH)
        assert object_counts(found).mean_ap == pytest.approx(np.mean(object_counts(found).ap))
        assert object_counts(found).ap.tolist() == [1 / 5] * 5 + [0] * 5

    @pytest.mark.parametrize("method", ["hungarian", "greedy"])
    def test_an_exact_prediction_scores_1_in_everything(self, method):
        counts = object_counts(overlaps(TRUTH * 10, TRUTH), method=method)
        assert all((getattr(counts, score) == 1).all() for score in SCORES)


class TestEmpty:
    """Absent is NaN; missed and spurious are 0."""

    @pytest.mark.parametrize("score", SCORES)
    def test_no_object_at_all_has_no_score(self, score):
        assert np.isnan(getattr(object_counts(overlaps(NOTHING, NOTHING)), score)).all()

    @pytest.mark.parametrize("pair", [(NOTHING, TRUTH), (TRUTH, NOTHING)], ids=["missed", "spurious"])
    @pytest.mark.parametrize("score", SCORES)
    def test_only_true_or_only_predicted_objects_score_0(self, score, pair):
        assert (getattr(object_counts(overlaps(*pair)), score) == 0).all()

    def test_mean_ap_of_nothing_is_nan(self):
        assert np.isnan(object_counts(overlaps(NOTHING, NOTHING)).mean_ap)


class TestSeveralImages:
    """Counts add up; means are over images that have a score."""

    def test_pooled_counts_are_those_of_the_images_side_by_side(self):
        pairs = [pair for pair in label_pairs(100, seed=4) if pair[0].shape == (8, 8)]
        aside = [
            np.hstack([labels + 1000 * place * (labels > 0) for place, labels in enumerate(column)])
            for column in zip(*pairs, strict=True)
        ]
        together, whole = (
            pooled([object_counts(overlaps(*pair)) for pair in pairs]),
            object_counts(overlaps(*aside)),
        )
        assert_array_equal(together.true_positives, whole.true_positives)
        assert_allclose(together.pq, whole.pq)

    def test_the_mean_over_images_weighs_images_not_objects(self):
        images = [object_counts(overlaps(TRUTH, TRUTH)), object_counts(overlaps(NOTHING, PREDICTION))]
        assert mean_over_images(images)[0] == 0.5
        assert pooled(images).ap[0] == 3 / 6

    def test_absent_images_are_left_out_or_count_as_asked(self):
        images = [object_counts(overlaps(*pair)) for pair in [(PREDICTION, TRUTH), (NOTHING, NOTHING)]]
        assert mean_over_images(images)[0] == 1 / 5
        assert mean_over_images(images, absent=1)[0] == 3 / 5
        assert np.isnan(mean_over_images(images[1:], "pq")).all()

    def test_counts_at_different_thresholds_do_not_add_up(self):
        found = overlaps(PREDICTION, TRUTH)
        with pytest.raises(ShapeError, match="same `thresholds`"):
            pooled([object_counts(found), object_counts(found, thresholds=[0.5])])

    def test_no_image_is_refused(self):
        with pytest.raises(ShapeError, match="at least one image"):
            mean_over_images([])


class TestAggregatedJaccard:
    """AJI as published."""

    def test_equals_numbers_by_hand(self):
        # shared: 3 + 2 + 0; unions: 4 + 4 + the missed object's 4 + the spurious one's 1
        assert aggregated_jaccard(overlaps(PREDICTION, TRUTH)) == JaccardSums(5, 13)

    def test_equals_the_published_algorithm(self):
        for pair in label_pairs(CASES, seed=5):
            found = aggregated_jaccard(overlaps(*pair))
            assert (found.intersection, found.union) == aji_by_definition(*pair)

    def test_one_prediction_over_two_objects_counts_for_both(self):
        two, one = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 1]])
        assert aggregated_jaccard(overlaps(one, two)) == JaccardSums(4, 8)

    def test_images_add_up(self):
        assert (JaccardSums(5, 13) + JaccardSums(1, 7)).score == 0.3

    def test_absent_is_nan_and_missed_and_spurious_are_0(self):
        assert np.isnan(aggregated_jaccard(overlaps(NOTHING, NOTHING)).score)
        assert aggregated_jaccard(overlaps(TRUTH, NOTHING)).score == 0
        assert aggregated_jaccard(overlaps(NOTHING, TRUTH)).score == 0
