"""Words for numbers: exact where it counts, and never more certain than the number."""

import numpy as np
import pytest

from uvala.report import sentences


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.9371, "0.937"),
        (1.0, "1.000"),
        (0.99999, "> 0.999"),
        (0.0, "0.000"),
        (None, sentences.MISSING),
        (float("nan"), sentences.MISSING),
    ],
)
def test_scores_have_three_decimals_and_only_one_reads_as_one(value, words):
    assert sentences.score(value) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0%"),
        (0.00001, "< 0.1%"),
        (0.031, "3.1%"),
        (0.5, "50%"),
        (0.9999, "> 99.9%"),
        (1.0, "100%"),
        (None, sentences.MISSING),
    ],
)
def test_only_nothing_is_zero_percent_and_only_everything_is_a_hundred(share, words):
    assert sentences.percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (45.2, "45 s"),
        (59.7, "1 min"),
        (581.4, "9 min 41 s"),
        (600, "10 min"),
        (4980, "1 h 23 min"),
        (7200, "2 h"),
    ],
)
def test_durations_have_the_two_units_that_matter(seconds, words):
    assert sentences.duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(12_300, "12,300"), (1_940_817, "1.94 million"), (2e9, "2 billion")]
)
def test_large_numbers_are_rounded(number, words):
    assert sentences.count(number) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "0.500 px"),
        (4.314, "4.31 px"),
        (43.14, "43.1 px"),
        (1431.4, "1,431 px"),
        (None, sentences.MISSING),
    ],
)
def test_distances_have_three_digits_and_their_unit(value, words):
    assert sentences.quantity(value, "px" if value else "") == words


def test_an_interval_has_two_ends_or_is_not_there():
    assert sentences.interval((0.8512, 0.8944)) == "0.851 to 0.894"
    assert sentences.interval((3.21, 5.94), "um") == "3.21 to 5.94 um"
    assert sentences.interval(None) == ""


def test_a_date_is_written_out():
    assert sentences.moment("2025-11-21T14:02:11+00:00") == "21 November 2025, 14:02 UTC"


def test_what_is_no_date_stays_as_it_is():
    assert sentences.moment("last week") == "last week"


def test_long_lists_are_counted():
    assert sentences.listed(["a", "b", "c", "d", "e"], most=3) == "a, b and 3 more"
    assert sentences.listed(["a", "b"]) == "a and b"


class TestVerdict:
    def test_test_images_were_never_used(self):
        assert (
            sentences.verdict(0.94, 6, "test", "val")
            == "Mean Dice 0.940 on 6 test images never used for training."
        )

    def test_images_that_chose_the_weights_are_called_that(self):
        assert "chose the best weights" in sentences.verdict(0.94, 6, "val", "val")

    def test_training_images_are_called_that(self):
        assert "the very 6 images it was trained on" in sentences.verdict(0.94, 6, "train", "val")

    def test_the_measure_of_the_task_is_named(self):
        assert sentences.verdict(0.5, 6, "test", "val", "Mean AP").startswith(
            "Mean AP 0.500 on 6 test images"
        )

    def test_no_score_is_said(self):
        assert sentences.verdict(None, 0, "test", "val") == "This run has no scores yet."
        assert sentences.verdict(None, 2, "test", "val") == "No score on 2 images without any class to score."
        assert sentences.verdict(None, 1, "test", "val", "V_rand", "membranes").endswith(
            "without any true cell."
        )

    @pytest.mark.parametrize("subset", ["test", "val", "train", "all"])
    def test_of_a_model_of_which_nothing_is_known_nothing_is_said(self, subset):
        assert sentences.verdict(0.94, 6, subset, None) == "Mean Dice 0.940 on 6 images."
        assert "train" not in sentences.role(subset, None).replace("the train subset", "")
        assert sentences.caveats(6, subset, None) == []


class TestCaveats:
    def test_enough_test_images_need_none(self):
        assert sentences.caveats(5, "test", "val") == []

    def test_few_images_make_a_rough_estimate(self):
        assert "rough estimate" in " ".join(sentences.caveats(4, "test", "val"))

    def test_selecting_and_scoring_on_the_same_images_flatters(self):
        assert "slightly flattering" in " ".join(sentences.caveats(20, "val", "val"))

    def test_all_that_these_images_chose_is_named(self):
        said = sentences.caveats(20, "val", "val", ("the best weights", "the temperature"))
        assert said[0].startswith("These images chose the best weights and the temperature, so")

    def test_scoring_training_images_says_nothing_about_new_ones(self):
        assert "how well it remembers" in " ".join(sentences.caveats(20, "train", "val"))


class TestDistribution:
    def test_the_middle_half_and_the_lowest(self):
        scored = [(f"{number}.png", number / 10) for number in range(1, 10)]  # quartiles of 0.1 ... 0.9
        assert sentences.distribution_words(scored) == (
            "Half of the images score between 0.300 and 0.700; the lowest is 1.png with 0.100."
        )

    def test_few_images_have_a_range_instead(self):
        words = sentences.distribution_words([("a", 0.5), ("b", 0.75)])
        assert words == "The images score between 0.500 and 0.750; the lowest is a with 0.500."

    def test_equal_scores_have_no_lowest(self):
        assert sentences.distribution_words([("a", 0.5), ("b", 0.5)]) == "All 2 images score alike, at 0.500."


class TestConfusion:
    # 10 pixels of a, 2 of them taken for b; 10 of b, 1 taken for c; 20 of c, all right
    matrix = np.array([[8, 2, 0], [0, 9, 1], [0, 0, 20]])
    names = ("a", "b", "c")

    def test_the_costliest_comes_first_with_its_shares(self):
        expected = [(0, 1, 0.2, pytest.approx(2 / 3)), (1, 2, 0.1, pytest.approx(1 / 3))]
        assert sentences.frequent_confusions(self.matrix, most=5) == expected

    def test_as_a_sentence(self):
        assert "20% of 'a' is taken for 'b', which is 67% of all wrong" in sentences.confusion_words(
            self.matrix, self.names
        )

    def test_accuracy_is_compared_with_saying_the_largest_class(self):
        assert "every pixel 'c' would already reach 50%" in sentences.accuracy_baseline(
            self.matrix, self.names
        )

    def test_a_case_of_several_classes(self):
        assert sentences.case_words(self.matrix, self.names) == (
            "7.5% of the pixels are wrong; most often 'a' is taken for 'b'."
        )

    def test_a_case_of_two_classes_tells_missed_from_spurious(self):
        assert sentences.case_words(np.array([[70, 10], [5, 15]]), ("background", "cell")) == (
            "25% of 'cell' is missed; 40% of what is marked as 'cell' is something else."
        )

    def test_a_perfect_case(self):
        assert sentences.case_words(np.diag([3, 4]), ("background", "cell")) == "Every pixel is right."

    def test_nothing_counted(self):
        assert sentences.confusion_words(np.zeros((2, 2)), ("a", "b")) == ""
        assert sentences.case_words(np.zeros((2, 2)), ("a", "b")) == "No pixel of this image is labelled."
