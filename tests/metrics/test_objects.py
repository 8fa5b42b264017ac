"""One call for the objects of one image says what the counts say."""

import pickle

import numpy as np
import pytest

from uvala.errors import ShapeError
from uvala.metrics import aji, object_ap, panoptic_quality

TRUTH = np.array([[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 0], [3, 3, 3, 3]])
PREDICTION = np.array([[7, 7, 0, 0], [7, 0, 0, 0], [0, 0, 0, 9], [4, 4, 4, 4]])
"""7 covers three pixels of 1 (IoU 3/4), 4 is 3, 2 is missed, 9 is spurious."""


class TestByHand:
    def test_ap_is_the_share_of_matches_among_all_objects(self):
        # 2 matches, 1 spurious, 1 missed; from an IoU of 0.75 on one match fewer
        assert object_ap(PREDICTION, TRUTH).tolist() == [2 / 4] * 5 + [1 / 5] * 5

    def test_pq_is_the_mean_iou_of_the_matches_times_f1(self):
        found = panoptic_quality(PREDICTION, TRUTH)
        assert found.sq == pytest.approx((3 / 4 + 1) / 2)
        assert found.rq == pytest.approx(2 / 3)
        assert found == pytest.approx(7 / 8 * 2 / 3)

    def test_aji_pools_pixels(self):
        # intersections 3 + 4; unions 4 + 4, and the pixels of the missed (2) and the spurious one (1)
        assert aji(PREDICTION, TRUTH) == pytest.approx(7 / 11)


@pytest.mark.parametrize("score", [aji, panoptic_quality, lambda p, t, **k: object_ap(p, t, **k)[0]])
class TestEveryScore:
    def test_of_no_objects_is_not_a_number(self, score):
        assert np.isnan(score(np.zeros((3, 3), int), np.zeros((3, 3), int)))

    def test_of_objects_on_one_side_only_is_zero(self, score):
        assert score(np.zeros_like(TRUTH), TRUTH) == 0
        assert score(TRUTH, np.zeros_like(TRUTH)) == 0

    def test_looks_only_where_pixels_count(self, score):
        counted = np.zeros(TRUTH.shape, bool)
        counted[3] = True
        assert score(PREDICTION, TRUTH, counted=counted) == 1

    def test_refuses_other_shapes(self, score):
        with pytest.raises(ShapeError):
            score(TRUTH, TRUTH[:2])


def test_a_quality_survives_pickling():
    found = pickle.loads(pickle.dumps(panoptic_quality(PREDICTION, TRUTH)))
    assert (found.sq, found.rq) == (pytest.approx(7 / 8), pytest.approx(2 / 3))
