"""Kinds of errors on drawn objects; recall by size against a count object by object."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from label_pairs import label_pairs
from uvala.errors import ShapeError
from uvala.metrics.mistakes import ObjectRecords, object_errors, object_records, recall_by_size
from uvala.metrics.overlap import overlaps


def kinds(prediction, truth):
    """The numbers of the objects of each kind that occurs."""
    found = vars(object_errors(overlaps(np.atleast_2d(prediction), np.atleast_2d(truth))))
    return {kind: numbers.tolist() for kind, numbers in found.items() if numbers.size}


def fate(prediction, truth, target):
    """Is this true object split, or is it in a merged prediction? Counted pixel by pixel."""
    inside = truth == target
    parts = [p for p in np.unique(prediction[prediction > 0])
             if 2 * (inside & (prediction == p)).sum() > (prediction == p).sum()
             and 10 * (inside & (prediction == p)).sum() >= inside.sum()]  # fmt: skip
    return len(parts) >= 2


class TestKinds:
    """What happened to each object."""

    def test_partners_are_matched(self):
        assert kinds([7, 7, 7, 0], [3, 3, 3, 3]) == {"matched_predicted": [7], "matched_true": [3]}

    def test_objects_far_apart_are_missed_and_spurious(self):
        assert kinds([7, 7, 0, 0], [0, 0, 3, 3]) == {"missed": [3], "spurious": [7]}

    def test_objects_that_overlap_too_little_are_missed_and_spurious(self):
        assert kinds([7, 7, 7, 0, 0], [0, 0, 3, 3, 3]) == {"missed": [3], "spurious": [7]}

    def test_an_object_in_two_halves_is_split(self):
        assert kinds([7, 7, 0, 8, 8], [3, 3, 3, 3, 3]) == {"split": [3], "split_parts": [7, 8]}

    def test_an_object_in_unequal_parts_is_split_and_matched(self):
        found = kinds([7, 7, 7, 0, 8], [3, 3, 3, 3, 3])
        assert found == {"matched_predicted": [7], "matched_true": [3], "split": [3], "split_parts": [7, 8]}

    def test_a_speck_beside_the_match_is_no_part(self):
        found = kinds([7] * 19 + [8], [3] * 20)
        assert found == {"matched_predicted": [7], "matched_true": [3], "spurious": [8]}

    def test_a_prediction_over_two_objects_is_merged(self):
        assert kinds([7, 7, 7, 7, 7], [3, 3, 0, 4, 4]) == {"merged": [7], "merged_objects": [3, 4]}

    def test_a_prediction_over_a_large_and_a_small_object_is_merged_and_matched(self):
        found = kinds([7, 7, 7, 7, 7], [3, 3, 3, 0, 4])
        assert found == {
            "matched_predicted": [7],
            "matched_true": [3],
            "merged": [7],
            "merged_objects": [3, 4],
        }

    def test_nothing_at_all_is_no_error(self):
        assert kinds([0, 0], [0, 0]) == {}

    def test_every_object_is_of_some_kind_and_the_missed_and_spurious_of_no_other(self):
        for prediction, truth in label_pairs(1000):
            found = object_errors(overlaps(prediction, truth))
            known = np.concatenate([found.matched_true, found.split, found.merged_objects])
            assert_array_equal(np.union1d(known, found.missed), np.unique(truth[truth > 0]))
            assert not np.intersect1d(known, found.missed).size
            known = np.concatenate([found.matched_predicted, found.split_parts, found.merged])
            assert_array_equal(np.union1d(known, found.spurious), np.unique(prediction[prediction > 0]))
            assert not np.intersect1d(known, found.spurious).size

    def test_split_equals_its_definition(self):
        for prediction, truth in label_pairs(500, seed=1):
            expected = [t for t in np.unique(truth[truth > 0]) if fate(prediction, truth, t)]
            assert object_errors(overlaps(prediction, truth)).split.tolist() == expected

    def test_merged_is_split_with_prediction_and_truth_exchanged(self):
        for prediction, truth in label_pairs(300, seed=2):
            found, mirrored = (
                object_errors(overlaps(prediction, truth)),
                object_errors(overlaps(truth, prediction)),
            )
            assert_array_equal(found.merged, mirrored.split)
            assert_array_equal(found.merged_objects, mirrored.split_parts)


class TestRecallBySize:
    """Recall of small and large objects, pooled over images."""

    def test_records_hold_the_area_and_the_fate_of_each_true_object(self):
        records = object_records(overlaps(np.array([[7, 7, 0, 0]]), np.array([[3, 3, 3, 9]])))
        assert (records.areas.tolist(), records.matched.tolist()) == ([3, 1], [True, False])

    def test_equals_a_count_per_class(self):
        rng = np.random.default_rng(0)
        images = [ObjectRecords(rng.integers(1, 100, 20), rng.random(20) < 0.5) for _ in range(10)]
        by_size = recall_by_size(images, edges=[0, 10, 50, 80])
        areas, matched = (
            np.concatenate([getattr(image, name) for image in images]) for name in ("areas", "matched")
        )
        classes = [(areas >= 0) & (areas < 10), (areas >= 10) & (areas < 50), (areas >= 50) & (areas <= 80)]
        assert by_size.objects.tolist() == [inside.sum() for inside in classes]
        assert by_size.recall == pytest.approx([matched[inside].mean() for inside in classes])

    def test_quantiles_hold_as_many_objects_each(self):
        records = ObjectRecords(np.arange(1, 101), np.arange(1, 101) > 50)
        by_size = recall_by_size([records])
        assert by_size.objects.tolist() == [25, 25, 25, 25]
        assert by_size.recall.tolist() == [0, 0, 1, 1]

    def test_objects_of_one_size_are_one_class(self):
        by_size = recall_by_size([ObjectRecords(np.full(5, 7), np.array([True, False, True, True, False]))])
        assert (by_size.edges.tolist(), by_size.objects.tolist()) == ([7, 7], [5])

    def test_a_class_without_objects_has_no_recall(self):
        by_size = recall_by_size([ObjectRecords(np.array([5]), np.array([True]))], edges=[0, 10, np.inf])
        assert by_size.recall[0] == 1
        assert np.isnan(by_size.recall[1])

    def test_no_object_gives_no_class(self):
        assert recall_by_size([]).recall.size == 0
        assert recall_by_size([ObjectRecords(np.empty(0, int), np.empty(0, bool))]).objects.size == 0

    @pytest.mark.parametrize("edges", [[5], [5, 5], [10, 0], [[0, 1]]])
    def test_edges_that_do_not_ascend_are_refused(self, edges):
        with pytest.raises(ShapeError, match="each larger"):
            recall_by_size([], edges=edges)

    def test_fewer_than_one_class_is_refused(self):
        with pytest.raises(ShapeError, match="at least one class"):
            recall_by_size([], classes=0)
