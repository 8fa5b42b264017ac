"""An evaluation of four tiny images, by hand, and every way in which a class can be empty."""

import re
from itertools import combinations_with_replacement

import numpy as np
import pytest

from uvala.arrays import IGNORE
from uvala.errors import DataError, ShapeError
from uvala.evaluation.evaluate import evaluate
from uvala.evaluation.policy import POLICY

NAMES = ("background", "cell", "debris")


def case(name, prediction, truth):
    return name, np.array(prediction, np.uint8, ndmin=2), np.array(truth, np.uint8, ndmin=2)


CASES = [
    case("a.png", [[0, 1], [1, 1]], [[0, 0], [1, 1]]),
    case("b.png", [[0, 0], [0, 1]], [[0, 0], [0, 0]]),
    case("c.png", [[0, 0], [0, 0]], [[2, 0], [0, 0]]),
    case("d.png", [[0, 0], [0, 0]], [[0, 0], [0, 0]]),
]


@pytest.fixture(scope="module")
def scores():
    return evaluate(iter(CASES), NAMES, "test")


class TestByHand:
    """The numbers of the four images, worked out on paper."""

    def test_confusion_adds_up_all_images(self, scores):
        assert scores.confusion == ((11, 2, 0), (0, 2, 0), (1, 0, 0))

    def test_dice_and_iou_of_a_class_are_those_of_all_pixels_together(self, scores):
        assert [score.dice for score in scores.classes] == pytest.approx([22 / 25, 2 / 3, 0])
        assert [score.iou for score in scores.classes] == pytest.approx([11 / 14, 1 / 2, 0])

    def test_precision_and_recall(self, scores):
        assert [score.precision for score in scores.classes] == pytest.approx([11 / 12, 1 / 2, 0])
        assert [score.recall for score in scores.classes] == pytest.approx([11 / 13, 1, 0])

    def test_image_dice_is_the_mean_over_images_that_hold_the_class(self, scores):
        expected = [(2 / 3 + 6 / 7 + 6 / 7 + 1) / 4, (4 / 5 + 0) / 2, 0]
        assert [score.image_dice for score in scores.classes] == pytest.approx(expected)

    def test_the_other_reading_counts_absent_as_1(self, scores):
        expected = [(2 / 3 + 6 / 7 + 6 / 7 + 1) / 4, (4 / 5 + 0 + 1 + 1) / 4, 3 / 4]
        assert [score.image_dice_absent_as_one for score in scores.classes] == pytest.approx(expected)

    def test_empty_cases_are_counted(self, scores):
        counts = [
            (score.images_present, score.images_absent, score.images_missed, score.images_false_alarm)
            for score in scores.classes
        ]
        assert counts == [(4, 0, 0, 0), (2, 2, 0, 1), (1, 3, 1, 0)]

    def test_means_and_accuracy(self, scores):
        assert scores.mean_dice == pytest.approx((22 / 25 + 2 / 3 + 0) / 3)
        assert scores.mean_iou == pytest.approx((11 / 14 + 1 / 2 + 0) / 3)
        assert scores.accuracy == 13 / 16

    def test_each_image_keeps_its_scores(self, scores):
        image = scores.images[0]
        assert (image.name, image.pixels, image.accuracy) == ("a.png", 4, 3 / 4)
        assert image.dice == (pytest.approx(2 / 3), pytest.approx(4 / 5), None)
        assert image.iou == (pytest.approx(1 / 2), pytest.approx(2 / 3), None)
        assert image.mean_dice == pytest.approx((2 / 3 + 4 / 5) / 2)

    def test_median_dice_is_the_middle_of_the_images(self, scores):
        means = [(2 / 3 + 4 / 5) / 2, (6 / 7 + 0) / 2, (6 / 7 + 0) / 2, 1]
        assert scores.median_dice == pytest.approx(np.median(means))

    def test_each_sentence_of_a_policy_stands_for_itself(self):
        for part in POLICY.values():
            for sentence in re.split(r"(?<=\.)\s", part):
                assert sentence[0].isupper(), sentence
                assert not {"it", "them", "they"} & set(re.findall(r"\w+", sentence.lower())), sentence
                assert ";" not in sentence

    def test_the_policy_and_the_subset_are_written_down(self, scores):
        assert scores.policy.startswith(POLICY["pixels"])
        assert scores.subset == "test"


STATES = {
    "absent": ([0, 0], [0, 0]),  # prediction, truth
    "missed": ([0, 0], [0, 1]),
    "false alarm": ([0, 1], [0, 0]),
    "apart": ([1, 0], [0, 1]),
    "found": ([0, 1], [0, 1]),
    "ignored": ([0, 1], [0, IGNORE]),
}
DICE = {"missed": 0, "false alarm": 0, "apart": 0, "found": 1}


@pytest.mark.parametrize("states", list(combinations_with_replacement(STATES, 3)), ids="-".join)
def test_every_combination_of_empty_classes_follows_the_policy(states):
    cell = evaluate([case(state, *STATES[state]) for state in states], ("background", "cell"), "all").classes[
        1
    ]
    known = [DICE[state] for state in states if state in DICE]
    assert cell.image_dice == (pytest.approx(np.mean(known)) if known else None)
    assert cell.image_dice_absent_as_one == pytest.approx((sum(known) + 3 - len(known)) / 3)
    assert (cell.images_present, cell.images_absent) == (len(known), 3 - len(known))
    assert (cell.images_missed, cell.images_false_alarm) == (
        states.count("missed"),
        states.count("false alarm"),
    )
    assert (cell.dice is None) == (not known)


class TestIgnoredPixels:
    """They count nowhere."""

    def test_an_image_that_is_ignored_altogether_has_no_score_and_changes_none(self):
        ignored = case("e.png", [[1, 1]], [[IGNORE, IGNORE]])
        with_it, without = (evaluate(cases, NAMES, "test") for cases in ([*CASES, ignored], CASES))
        last = with_it.images[-1]
        assert (last.pixels, last.accuracy, last.mean_dice, last.dice) == (0, None, None, (None, None, None))
        assert (with_it.mean_dice, with_it.accuracy) == (without.mean_dice, without.accuracy)

    def test_nothing_but_ignored_pixels_scores_none_everywhere(self):
        scores = evaluate([case("e.png", [[1]], [[IGNORE]])], NAMES, "test")
        found = (scores.mean_dice, scores.mean_iou, scores.accuracy, scores.median_dice)
        assert found == (None, None, None, None)


def test_images_are_taken_one_at_a_time():
    alive, most = set(), 0

    def cases():
        nonlocal most
        for index in range(5):
            alive.add(index)
            most = max(most, len(alive))
            yield case(f"{index}.png", [[0, 1]], [[0, 1]])
            alive.discard(index)

    evaluate(cases(), NAMES, "all")
    assert most == 1


def test_images_of_different_sizes_are_pooled_by_pixels():
    scores = evaluate([case("small", [[1]], [[0]]), case("large", [[0] * 9], [[0] * 9])], NAMES, "all")
    assert scores.accuracy == 9 / 10


def test_no_images_is_an_error_that_names_the_subset():
    with pytest.raises(DataError, match="no images in 'test'"):
        evaluate([], NAMES, "test")


def test_an_image_that_does_not_fit_is_named():
    with pytest.raises(ShapeError, match=r"b\.png: a prediction of shape \(1, 2\)"):
        evaluate([*CASES[:1], case("b.png", [[0, 0]], [[0]])], NAMES, "test")
