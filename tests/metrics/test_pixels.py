"""Scores from a confusion matrix, against hand-made masks, definitions and three other libraries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal
from skimage.metrics import contingency_table
from sklearn.metrics import jaccard_score, matthews_corrcoef
from torchmetrics.functional.classification import (
    multilabel_f1_score,
    multilabel_precision,
    multilabel_recall,
    multilabel_specificity,
)

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.metrics.pixels import (
    confusion_matrix,
    counted_pixels,
    dice,
    frequency_weighted,
    iou,
    macro,
    mask_pair,
    matthews,
    micro,
    pixel_accuracy,
    precision,
    recall,
    specificity,
)

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]], np.uint8)
PREDICTION = np.array([[0, 1, 1, 1], [0, 1, 1, 1], [2, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
# counted by hand: class 0 has 6 hits, 2 lost to class 1, 3 gained from class 2
BY_HAND = [[6, 2, 0], [0, 4, 0], [3, 0, 1]]

K = 4


@st.composite
def class_map_pairs(draw):
    """(prediction, truth) of equal random shape, 4 classes, some of truth ignored."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    prediction = draw(arrays(np.uint8, shape, elements=st.integers(0, K - 1)))
    return prediction, draw(arrays(np.uint8, shape, elements=st.sampled_from([*range(K), IGNORE])))


def brute_force(prediction, truth, num_classes):
    """The definition, pair by pair."""
    return [
        [sum(bool(t == row and p == column) for t, p in zip(truth.flat, prediction.flat, strict=True))
         for column in range(num_classes)]
        for row in range(num_classes)
    ]  # fmt: skip


class TestConfusionMatrix:
    """Rows are truth, columns prediction."""

    def test_equals_a_count_by_hand(self):
        assert confusion_matrix(PREDICTION, TRUTH, 3).tolist() == BY_HAND

    def test_is_int64_and_has_a_row_for_classes_that_do_not_occur(self):
        confusion = confusion_matrix(PREDICTION, TRUTH, 5)
        assert (confusion.dtype, confusion.shape) == (np.int64, (5, 5))

    @settings(deadline=None, max_examples=200)
    @given(class_map_pairs())
    def test_equals_its_definition(self, pair):
        assert confusion_matrix(*pair, K).tolist() == brute_force(*pair, K)

    @settings(deadline=None, max_examples=200)
    @given(class_map_pairs())
    def test_equals_the_contingency_table_of_scikit_image(self, pair):
        prediction, truth = pair
        looked_at = truth != IGNORE
        if not looked_at.any():
            return  # scikit-image refuses empty arrays
        expected = np.zeros((K, K))
        table = contingency_table(truth[looked_at], prediction[looked_at]).toarray()
        expected[: table.shape[0], : table.shape[1]] = table
        assert_array_equal(confusion_matrix(prediction, truth, K), expected)

    @pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int32, np.int64])
    def test_takes_any_integer_type(self, dtype):
        binary = TRUTH == 1
        confusion = confusion_matrix(binary.astype(dtype), binary.astype(np.uint8), 2)
        assert confusion.tolist() == [[12, 0], [0, 4]]

    def test_matrices_of_two_halves_add_up_to_that_of_the_whole(self):
        halves = [confusion_matrix(PREDICTION[rows], TRUTH[rows], 3) for rows in (slice(2), slice(2, 4))]
        assert_array_equal(sum(halves), confusion_matrix(PREDICTION, TRUTH, 3))

    def test_what_is_predicted_where_truth_is_ignored_does_not_matter(self):
        truth = np.where(PREDICTION == TRUTH, TRUTH, IGNORE)
        assert pixel_accuracy(confusion_matrix(PREDICTION, truth, 3)) == 1

    def test_an_image_that_is_ignored_altogether_counts_nothing(self):
        assert confusion_matrix(PREDICTION, np.full_like(TRUTH, IGNORE), 3).sum() == 0

    def test_254_classes_and_ignore_are_all_told_apart(self):
        truth = np.arange(256, dtype=np.uint8)[None]
        prediction = np.minimum(truth, 253)
        truth = np.where(truth == 254, IGNORE, truth)
        assert_array_equal(confusion_matrix(prediction, truth, 254), np.eye(254))


class TestImpossibleInput:
    """A number that cannot be right is not computed."""

    @pytest.mark.parametrize(
        ("prediction", "truth", "num_classes", "message"),
        [
            (PREDICTION[:3], TRUTH, 3, r"a prediction of shape \(3, 4\) for a truth of shape \(4, 4\)"),
            (PREDICTION.astype(np.float32), TRUTH, 3, "a prediction of type float32"),
            (PREDICTION, TRUTH.astype(np.float64), 3, "a truth of type float64"),
            (PREDICTION, TRUTH, 2, r"a prediction with the value 2 \(1 pixels\)"),
            (np.minimum(PREDICTION, 1), TRUTH, 2, r"a truth with the value 2 \(4 pixels\)"),
            (PREDICTION, TRUTH * 100, 3, r"100 \(4 pixels\), 200 \(4 pixels\)"),
            (np.full_like(PREDICTION, IGNORE), TRUTH, 3, "only truth may say 'ignore'"),
            (np.full_like(TRUTH, IGNORE), np.full_like(TRUTH, IGNORE), 3, "only truth may say 'ignore'"),
            (PREDICTION.astype(np.int16) - 1, TRUTH, 3, "a prediction with values -1 to 1"),
            (PREDICTION, TRUTH.astype(np.int32) * 300, 3, "a truth with values 0 to 600"),
            (PREDICTION, TRUTH, 1, "num_classes = 1"),
            (PREDICTION, TRUTH, 255, "num_classes = 255"),
        ],
    )
    def test_is_refused_in_words(self, prediction, truth, num_classes, message):
        with pytest.raises(ShapeError, match=message):
            confusion_matrix(prediction, truth, num_classes)

    @pytest.mark.parametrize(
        "score", [dice, iou, precision, recall, specificity, matthews, pixel_accuracy, micro]
    )
    @pytest.mark.parametrize(
        "confusion", [np.ones((2, 3), int), np.ones(4, int), np.eye(2), np.array([[1, -1], [0, 1]])], ids=str
    )
    def test_a_matrix_that_is_no_count_of_pixels_is_refused(self, score, confusion):
        with pytest.raises(ShapeError, match="confusion matrix"):
            score(confusion)


class TestScores:
    """Dice, IoU, precision and recall are read from the matrix."""

    @pytest.mark.parametrize(
        ("score", "expected"),
        [
            (dice, [12 / 17, 8 / 10, 2 / 5]),
            (iou, [6 / 11, 4 / 6, 1 / 4]),
            (precision, [6 / 9, 4 / 6, 1]),
            (recall, [6 / 8, 1, 1 / 4]),
        ],
    )
    def test_equal_the_numbers_by_hand(self, score, expected):
        assert_allclose(score(np.array(BY_HAND)), expected, rtol=1e-15)

    def test_accuracy_is_the_share_of_the_diagonal(self):
        assert pixel_accuracy(np.array(BY_HAND)) == 11 / 16

    @settings(deadline=None)
    @given(class_map_pairs())
    def test_dice_and_iou_equal_the_set_definitions(self, pair):
        prediction, truth = pair
        seen = truth != IGNORE
        confusion = confusion_matrix(prediction, truth, K)
        for c in range(K):
            p, t = (prediction == c) & seen, (truth == c) & seen
            if (p | t).any():
                assert dice(confusion)[c] == pytest.approx(2 * (p & t).sum() / (p.sum() + t.sum()), abs=1e-12)
                assert iou(confusion)[c] == pytest.approx((p & t).sum() / (p | t).sum(), abs=1e-12)
            else:
                assert np.isnan([dice(confusion)[c], iou(confusion)[c]]).all()

    @settings(deadline=None)
    @given(arrays(np.int64, (K, K), elements=st.integers(0, 1000)))
    def test_lie_between_0_and_1_and_keep_their_identities(self, confusion):
        d, j, p, r = (score(confusion) for score in (dice, iou, precision, recall))
        known = ~np.isnan(d)
        assert all(((s[known] >= 0) & (s[known] <= 1)).all() for s in (d, j, p, r))
        assert all((np.isnan(s) == ~known).all() for s in (j, p, r))
        assert_allclose(d, 2 * j / (1 + j), atol=1e-12)
        harmonic = np.divide(2 * p * r, p + r, out=np.zeros(K), where=(p + r) > 0)
        assert_allclose(d[known], harmonic[known], atol=1e-12)

    def test_large_counts_do_not_overflow(self):
        assert dice(np.array([[2**61, 0], [0, 2**61]]) // 4).tolist() == [1, 1]


class TestEmptyClasses:
    """The policy: nowhere is NaN, in one place only is 0."""

    @pytest.mark.parametrize("score", [dice, iou, precision, recall])
    @pytest.mark.parametrize(
        ("truth", "prediction", "expected"),
        [
            ([0, 0], [0, 0], np.nan),  # absent from both
            ([1, 0], [0, 0], 0),  # missed
            ([0, 0], [1, 0], 0),  # false alarm
            ([1, 0], [0, 1], 0),  # in both, nowhere together
            ([1, 0], [1, 0], 1),  # found
            ([IGNORE, 0], [1, 0], np.nan),  # predicted where nobody looks
            ([IGNORE, 1], [1, 0], 0),  # missed, and predicted where nobody looks
        ],
    )
    def test_of_class_1(self, score, truth, prediction, expected):
        confusion = confusion_matrix(np.array(prediction, np.uint8), np.array(truth, np.uint8), 2)
        assert_array_equal(score(confusion)[1], expected)

    @pytest.mark.parametrize("shape", [(0, 0), (0, 5)])
    def test_no_pixels_at_all_score_nothing(self, shape):
        confusion = confusion_matrix(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), 2)
        assert np.isnan([*dice(confusion), pixel_accuracy(confusion)]).all()


def class_maps(count, seed=0):
    """`count` pairs (prediction, truth), 8x8, up to 4 classes: some classes nowhere, some only in one."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = rng.choice(rng.integers(0, K, rng.integers(1, K + 1)), (8, 8))
        other = rng.choice(rng.integers(0, K, rng.integers(1, K + 1)), (8, 8))
        right = rng.random((8, 8)) < rng.choice([0, 0.5, 0.9, 1])
        yield np.where(right, truth, other).astype(np.uint8), truth.astype(np.uint8)


def of_torchmetrics(score, pairs, classes, average):
    """Its score of each pair for itself, where each class is a label that a pixel has or has not."""
    prediction, truth = (
        torch.as_tensor(np.stack([[one == c for c in classes] for one in maps]), dtype=torch.long).flatten(2)
        for maps in zip(*pairs, strict=True)
    )
    options = {"num_labels": len(classes), "average": average, "multidim_average": "samplewise"}
    return score(prediction, truth, **options).numpy()


class TestSpecificity:
    """Of the pixels of other classes, the share that was not called this one."""

    def test_equals_the_numbers_by_hand(self):
        assert_allclose(specificity(np.array(BY_HAND)), [5 / 8, 10 / 12, 1])

    def test_equals_torchmetrics_where_the_class_is_somewhere_and_not_everywhere(self):
        pairs = list(class_maps(1000))
        for (prediction, truth), theirs in zip(
            pairs, of_torchmetrics(multilabel_specificity, pairs, range(K), "none"), strict=True
        ):
            ours = specificity(confusion_matrix(prediction, truth, K))
            somewhere = np.array([(prediction == c).any() or (truth == c).any() for c in range(K)])
            known = somewhere & [(truth != c).any() for c in range(K)]
            assert_allclose(ours, np.where(known, theirs, np.nan), atol=1e-6)  # theirs is float32

    @pytest.mark.parametrize(
        ("truth", "prediction", "expected"),
        [([0, 0], [0, 0], np.nan), ([1, 0], [0, 0], 1), ([0, 0], [1, 0], 0.5), ([1, 1], [1, 0], np.nan)],
        ids=["absent", "missed", "false alarm", "no other pixel"],
    )
    def test_empty_cases(self, truth, prediction, expected):
        confusion = confusion_matrix(np.array(prediction), np.array(truth), 2)
        assert_array_equal(specificity(confusion)[1], expected)


class TestMatthews:
    """The correlation of two indicators."""

    def test_equals_the_correlation_coefficient(self):
        for prediction, truth in class_maps(1000, seed=1):
            ours = matthews(confusion_matrix(prediction, truth, K))
            for c in range(K):
                p, t = (prediction == c).ravel(), (truth == c).ravel()
                expected = np.corrcoef(p, t)[0, 1] if 0 < p.mean() < 1 and 0 < t.mean() < 1 else 0
                assert_allclose(ours[c], expected if (p | t).any() else np.nan, atol=1e-12)

    @pytest.mark.filterwarnings("ignore:A single label was found:UserWarning")
    def test_equals_scikit_learn_wherever_the_class_is_anywhere(self):
        for number, (prediction, truth) in enumerate(class_maps(200, seed=2)):
            p, t = (prediction == number % K).ravel(), (truth == number % K).ravel()
            if (p | t).any():
                ours = matthews(confusion_matrix(prediction, truth, K))[number % K]
                assert ours == pytest.approx(matthews_corrcoef(t, p), abs=1e-12)

    @pytest.mark.parametrize(
        ("truth", "prediction", "expected"),
        [([0, 0], [0, 0], np.nan), ([1, 0], [0, 0], 0), ([0, 0], [1, 0], 0), ([1, 1], [1, 1], 0)],
        ids=["absent", "missed", "false alarm", "everywhere in both"],
    )
    def test_empty_cases(self, truth, prediction, expected):
        confusion = confusion_matrix(np.array(prediction), np.array(truth), 2)
        assert_array_equal(matthews(confusion)[1], expected)

    def test_the_opposite_of_the_truth_is_minus_1_and_large_counts_do_not_overflow(self):
        assert_allclose(matthews(np.array([[0, 2**60], [2**60, 0]])), -1)


class TestMeans:
    """Over classes, over pixels, and over classes by their pixels."""

    def test_macro_leaves_out_what_has_no_score(self):
        assert macro(np.array([0.25, np.nan, 0.75])) == 0.5
        assert np.isnan(macro(np.array([np.nan, np.nan])))

    @pytest.mark.parametrize(
        ("score", "peer"),
        [(precision, multilabel_precision), (recall, multilabel_recall), (dice, multilabel_f1_score)],
    )
    def test_micro_equals_torchmetrics(self, score, peer):
        pairs = list(class_maps(1000, seed=3))
        for (prediction, truth), theirs in zip(
            pairs, of_torchmetrics(peer, pairs, range(1, K), "micro"), strict=True
        ):
            ours = micro(confusion_matrix(prediction, truth, K), score)
            assert_allclose(ours, theirs if prediction.any() or truth.any() else np.nan, atol=1e-6)

    def test_micro_iou_equals_the_set_definition(self):
        for prediction, truth in class_maps(1000, seed=4):
            hits = sum(((prediction == c) & (truth == c)).sum() for c in (1, 3))
            either = sum(((prediction == c) | (truth == c)).sum() for c in (1, 3))
            ours = micro(confusion_matrix(prediction, truth, K), iou, classes=[1, 3])
            assert_allclose(ours, hits / either if either else np.nan, atol=1e-12)

    @pytest.mark.parametrize("score", [dice, precision, recall])
    def test_micro_over_all_classes_is_the_pixel_accuracy(self, score):
        confusion = np.array(BY_HAND)
        assert micro(confusion, score, classes=range(3)) == pixel_accuracy(confusion)

    @pytest.mark.parametrize("score", [dice, iou, precision, recall, specificity, matthews])
    def test_micro_of_one_class_is_its_score(self, score):
        assert micro(np.array(BY_HAND), score, classes=[2]) == pytest.approx(score(np.array(BY_HAND))[2])

    @pytest.mark.parametrize("classes", [[], [3], [-1], [1, 1]], ids=str)
    def test_micro_of_impossible_classes_is_refused(self, classes):
        with pytest.raises(ShapeError, match="a confusion matrix of 3 classes"):
            micro(np.array(BY_HAND), classes=classes)

    def test_frequency_weighted_iou_equals_its_definition(self):
        for prediction, truth in class_maps(1000, seed=5):
            confusion, expected = confusion_matrix(prediction, truth, K), 0
            for c in np.unique(truth):
                p, t = prediction == c, truth == c
                expected += t.mean() * (p & t).sum() / (p | t).sum()
            assert frequency_weighted(iou(confusion), confusion) == pytest.approx(expected, abs=1e-12)

    def test_frequency_weighted_iou_equals_scikit_learn(self):
        for prediction, truth in class_maps(200, seed=6):
            confusion = confusion_matrix(prediction, truth, K)
            theirs = jaccard_score(truth.ravel(), prediction.ravel(), average="weighted", zero_division=0)
            assert frequency_weighted(iou(confusion), confusion) == pytest.approx(theirs, abs=1e-12)

    def test_frequency_weighted_is_nan_without_pixels_and_refuses_scores_of_other_classes(self):
        nothing = np.zeros((3, 3), int)
        assert np.isnan(frequency_weighted(iou(nothing), nothing))
        with pytest.raises(ShapeError, match="a score per class"):
            frequency_weighted(np.ones(2), nothing)


class TestWhatCounts:
    """A region of interest and ignored pixels are the same thing to every score."""

    def test_all_pixels_count_unless_truth_or_a_region_says_otherwise(self):
        assert counted_pixels(TRUTH) is None
        assert counted_pixels(TRUTH, np.ones(TRUTH.shape, bool)) is None

    def test_what_counts_is_inside_of_the_region_and_not_ignored(self):
        truth = np.array([[0, IGNORE], [1, IGNORE]], np.uint8)
        region = np.array([[True, True], [False, False]])
        assert counted_pixels(truth, region).tolist() == [[True, False], [False, False]]

    @settings(deadline=None)
    @given(class_map_pairs(), st.randoms(use_true_random=False))
    def test_pixels_that_do_not_count_are_as_if_ignored(self, pair, random):
        prediction, truth = pair
        counted = np.array([random.random() < 0.5 for _ in range(truth.size)]).reshape(truth.shape)
        ignored = np.where(counted, truth, IGNORE)
        expected = confusion_matrix(prediction, ignored, K)
        assert_array_equal(confusion_matrix(prediction, truth, K, counted=counted), expected)
        assert_array_equal(confusion_matrix(prediction, truth, K, counted=counted_pixels(ignored)), expected)

    def test_truth_may_hold_anything_where_it_does_not_count(self):
        truth = np.where(TRUTH == 2, 77, TRUTH)
        assert confusion_matrix(PREDICTION, truth, 3, counted=TRUTH != 2).sum() == 12

    def test_masks_are_background_where_nobody_counts(self):
        counted = TRUTH != 1
        prediction, truth = mask_pair(PREDICTION == 1, TRUTH == 1, counted)
        assert not truth.any()
        assert_array_equal(prediction, (PREDICTION == 1) & counted)

    @pytest.mark.parametrize(
        "region", [np.ones((3, 4), bool), np.ones((4, 4), np.uint8)], ids=["shape", "type"]
    )
    def test_a_region_of_another_shape_or_type_is_refused(self, region):
        for refuse in (
            lambda: counted_pixels(TRUTH, region),
            lambda: confusion_matrix(PREDICTION, TRUTH, 3, counted=region),
            lambda: mask_pair(PREDICTION == 1, TRUTH == 1, region),
        ):
            with pytest.raises(ShapeError, match="a map of counted pixels of shape"):
                refuse()

    def test_object_numbers_beyond_255_are_no_classes(self):
        with pytest.raises(ShapeError, match="a truth with values 0 to 600"):
            counted_pixels(TRUTH.astype(np.int32) * 300)
