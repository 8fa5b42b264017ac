"""COCO's average precision against faster-coco-eval."""

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as rle
from numpy.testing import assert_allclose
from scipy import ndimage

from label_pairs import label_pairs
from uvala.errors import ShapeError
from uvala.metrics import coco
from uvala.metrics.coco import coco_average_precision
from uvala.metrics.instances import IOU_THRESHOLDS
from uvala.metrics.overlap import overlaps


def annotations(labels, image):
    """A run-length encoded mask per object."""
    for number in np.unique(labels[labels > 0]):
        inside = np.asfortranarray(labels == number, dtype=np.uint8)
        area = int(inside.sum())
        segmentation = rle.encode(inside)
        yield {"image_id": image, "category_id": 1, "segmentation": segmentation, "area": area, "iscrowd": 0}


def by_library(pairs, scores, most):
    """ap, ap50, ap75, small, medium, large; NaN for its -1."""
    images = [{"id": k, "height": t.shape[0], "width": t.shape[1]} for k, (_, t) in enumerate(pairs)]
    truth = [a | {"bbox": [0, 0, 1, 1]} for k, (_, t) in enumerate(pairs) for a in annotations(t, k)]
    truth = [a | {"id": place} for place, a in enumerate(truth, start=1)]
    found = [a for k, (p, _) in enumerate(pairs) for a in annotations(p, k)]
    found = [a | {"score": float(s)} for a, s in zip(found, np.concatenate(scores), strict=True)]
    data = COCO({"images": images, "annotations": truth, "categories": [{"id": 1, "name": "cell"}]})
    if not truth or not found:
        return [np.nan if not truth else 0.0] * 3
    evaluation = COCOeval_faster(data, data.loadRes(found), "segm")
    evaluation.params.iouThrs = np.array(IOU_THRESHOLDS)
    evaluation.params.maxDets = [1, 2, most]  # the library sorts them
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.array(evaluation.eval["precision"])[:, :, 0, :, -1]  # [10 IoU, 101 recalls, 4 areas]
    means = np.where((precision < 0).any(axis=(0, 1)), np.nan, precision.mean(axis=(0, 1)))
    return [means[0], *precision[[0, 5], :, 0].mean(axis=1), *means[1:]]


def numbers(found):
    return [found.ap, found.ap50, found.ap75, found.ap_small, found.ap_medium, found.ap_large]


def data_sets(count, seed, size=1):
    """`count` times a few pairs of label maps, magnified `size` times, and scores with ties."""
    rng = np.random.default_rng(seed)
    source = label_pairs(4 * count, seed)
    for _ in range(count):
        pairs = [next(source) for _ in range(4)]
        pairs = [tuple(np.kron(labels, np.ones((size, size), int)) for labels in pair) for pair in pairs]
        found = [overlaps(*pair) for pair in pairs]
        yield pairs, found, [rng.integers(0, 8, f.predicted_ids.size) / 8 for f in found]


class TestAgainstTheLibrary:
    """The same numbers as faster-coco-eval, ties and all."""

    @pytest.mark.parametrize("most", [100, 3])
    def test_average_precision_is_the_same(self, most):
        for pairs, found, scores in data_sets(60, seed=most):
            ours = numbers(coco_average_precision([*zip(found, scores, strict=True)], most=most))
            expected = by_library(pairs, scores, most)
            assert_allclose(ours[: len(expected)], expected, atol=1e-9)

    def test_average_precision_by_size_is_the_same(self):
        for pairs, found, scores in data_sets(15, seed=1, size=16):
            ours = numbers(coco_average_precision([*zip(found, scores, strict=True)]))
            assert_allclose(ours, by_library(pairs, scores, 100), atol=1e-9)


class TestByHand:
    """Small cases that can be counted."""

    def test_a_spurious_object_costs_nothing_if_it_is_the_last(self):
        truth, prediction = np.array([[1, 1, 0, 0]]), np.array([[1, 1, 0, 2]])
        found = overlaps(prediction, truth)
        assert coco_average_precision([(found, np.array([0.9, 0.1]))]).ap == 1
        assert coco_average_precision([(found, np.array([0.1, 0.9]))]).ap == 0.5

    def test_half_of_the_objects_found_is_half_of_the_curve(self):
        found = overlaps(np.array([[1, 0, 0]]), np.array([[1, 0, 2]]))
        assert coco_average_precision([(found, np.array([0.5]))]).ap == pytest.approx(51 / 101)

    def test_sizes_are_computed_when_asked_for(self, monkeypatch):
        found, asked = overlaps(np.array([[1]]), np.array([[1]])), []
        precision = coco._precision
        monkeypatch.setattr(coco, "_precision", lambda *args: asked.append(args[-1]) or precision(*args))
        scores = coco.coco_average_precision([(found, np.array([0.5]))])
        assert scores.ap == 1
        assert set(asked) == {coco.COCO_AREAS["all"]}
        assert scores.ap_small == 1
        assert np.isnan(scores.ap_large)

    def test_no_limit_takes_more_than_a_hundred_objects(self):
        labels = ndimage.label(np.indices((40, 40)).sum(axis=0) % 2 == 0)[0]
        image = (overlaps(labels, labels), np.ones(labels.max()))
        assert coco_average_precision([image]).ap == 1
        assert coco_average_precision([image], most=100).ap < 0.2


class TestEmpty:
    """Without a true object there is no score; without a predicted one it is 0."""

    def test_absent_is_nan_and_missed_is_0(self):
        nothing, something = np.zeros((2, 2), int), np.ones((2, 2), int)
        assert np.isnan(coco_average_precision([(overlaps(something, nothing), np.ones(1))]).ap)
        assert coco_average_precision([(overlaps(nothing, something), np.ones(0))]).ap == 0
        assert np.isnan(coco_average_precision([]).ap)

    def test_scores_that_do_not_fit_are_refused(self):
        found = overlaps(np.ones((2, 2), int), np.ones((2, 2), int))
        for scores in (np.ones(2), np.ones(1, int), np.array([np.nan])):
            with pytest.raises(ShapeError, match="for each predicted object"):
                coco_average_precision([(found, scores)])
