"""The box at the top: sentences that follow from the numbers, and none without a number."""

import pytest

from uvala.evaluation.scores import Measure, ProbabilityScores, ReliabilityBin
from uvala.report.executive import findings


@pytest.fixture
def box(make, complete):
    """The lines of the box of a complete report, by topic; `changes` to its scores."""

    def lines(task="instances", **changes):
        scores = complete(make(), task).scores.model_copy(update=changes)
        return {finding.topic: finding.words for finding in findings(scores, "test", "val")}

    return lines


class TestHowGood:
    def test_the_main_measure_has_its_interval_and_what_it_stands_on(self, box):
        assert (
            box()["How good"]
            == "Mean AP is 0.491, with a 95% interval of 0.420 to 0.560 from 6 images in 1 group."
        )

    def test_without_an_interval_there_is_none(self, box):
        words = box(main_interval=None, main_value=0.5)["How good"]
        assert words == "Mean AP is 0.500 on 6 images in 1 group: too few for an interval."

    def test_an_old_evaluation_has_its_mean_dice(self, make):
        scores = make().scores.model_copy(
            update={"main_value": None, "main_interval": None, "mean_dice_interval": None, "measures": ()}
        )
        words = findings(scores, "test", "val")[0].words
        assert words.startswith(f"Mean Dice is {scores.mean_dice:.3f} on 6 images")


class TestInPractice:
    def test_of_two_classes_area_is_compared(self, make, make_case):
        scores = make([make_case("a.png", shift=0)]).scores
        words = {each.topic: each.words for each in findings(scores, "test", "val")}["In practice"]
        assert words.startswith("It finds 100% of the area of 'cell', and 0% of what it marks")
        assert "as much area as there is" in words

    def test_objects_are_counted(self, box):
        words = box("instances")["In practice"]
        assert words == (
            "Of 100 objects it finds 87 (IoU above 0.5), and of 100 that it draws 13 match none."
            " It counts 100 objects, as many as there are."
        )

    def test_cells_are_pairs_of_pixels(self, box):
        assert "keeps 95% together" in box("membranes")["In practice"]
        assert "85% belong together" in box("membranes")["In practice"]


class TestWhereItFails:
    def test_errors_of_objects_and_the_commonest(self, box):
        words = box("instances")["Where it fails"]
        assert words.startswith(
            "Of 100 true objects 6 are missed and 3 are cut into several; of 100 predicted objects 4 are"
            " where there is none and 9 are across several. Joining neighbours is the most frequent error."
        )

    def test_the_size_that_is_found_worst(self, box):
        assert (
            "Of objects of 12 to 60 pixels it finds 70%, of those of other sizes 98%."
            in box("instances")["Where it fails"]
        )

    def test_cells_that_are_merged_more_than_split(self, box):
        assert "merges cells more than it splits" in box("membranes")["Where it fails"]

    def test_the_weakest_of_several_classes(self, make, make_case):
        scores = make([make_case("a.png")], names=("background", "cell", "debris")).scores
        debris = scores.classes[2].model_copy(
            update={"dice": 0.1, "dice_interval": (0.05, 0.2), "recall": 0.5, "precision": 0.25}
        )
        confusion = (*scores.confusion[:2], (5, 0, 5))
        scores = scores.model_copy(update={"classes": (*scores.classes[:2], debris), "confusion": confusion})
        words = " ".join(each.words for each in findings(scores, "test", "val"))
        assert "The weakest class is debris with a Dice of 0.100 (0.050 to 0.200)." in words
        assert "It finds 50% of the area of 'debris', and 75% of what it marks as that" in words
        assert "it marks 50% less area than there is." in words

    def test_classes_missed_in_whole_images_are_counted(self, box, make):
        background, cell = make().scores.classes
        cell = cell.model_copy(
            update={"images_present": 5, "images_absent": 1, "images_missed": 2, "images_false_alarm": 1}
        )
        words = box("semantic", classes=(background, cell))["Where it fails"]
        assert "it finds nothing of what they hold: cell in 2 of 4." in words
        assert "In images without any it marks some: cell in 1 of 2." in words


def test_outlines_have_their_distance_and_the_share_within_the_tolerance(box):
    assert box()["Outlines"] == (
        "95% of the outline of 'cell' lies within 4.31 px of the true one (HD95, mean of 6 images,"
        " 3.20 to 5.90). 91% lies within 2 px."
    )


class TestMembranesOfClass0:
    """The class of interest is the one whose outlines were measured, not the second."""

    @pytest.fixture
    def lines(self, box, make):
        cell, background = make().scores.classes
        missed = {"images_present": 5, "images_absent": 1, "images_missed": 2, "images_false_alarm": 1}
        membrane = cell.model_copy(update={"name": "membrane", **missed})
        hd95 = Measure(name="hd95/membrane", mean=2.5, higher_is_better=False, unit="px", images=6)
        return box("membranes", classes=(membrane, background), measures=(hd95,))

    def test_its_outline_has_its_distance(self, lines):
        assert lines["Outlines"].startswith("95% of the outline of 'membrane' lies within 2.50 px")

    def test_images_where_it_is_missed_are_counted(self, lines):
        assert "finds nothing of what they hold: membrane in 2 of 4." in lines["Where it fails"]


class TestProbabilities:
    def test_what_ninety_percent_is_worth(self, box):
        assert box()["Probabilities"].startswith("When it says 90% it is right in 84% of the cases.")

    @pytest.mark.parametrize(("accuracy", "word"), [(0.8, "too sure"), (0.99, "too modest")])
    def test_the_direction_of_the_error_is_named(self, box, accuracy, word):
        one = ReliabilityBin(confidence=0.9, accuracy=accuracy, pixels=10)
        found = ProbabilityScores(
            calibration_error=0.1, largest_calibration_error=0.1, brier=0.1, log_loss=0.1, reliability=(one,)
        )
        assert word in box(probabilities=found)["Probabilities"]


class TestTrust:
    def test_a_wide_interval_is_called_that(self, box):
        assert "The interval is 0.14 wide" in box()["How far to trust this"]

    def test_few_images_make_a_rough_estimate(self, make, make_case):
        lines = findings(make([make_case("a.png")]).scores, "test", "val")
        assert "rough estimate" in {each.topic: each.words for each in lines}["How far to trust this"]

    def test_components_are_not_objects(self, box, complete, make):
        objects = complete(make()).scores.objects.model_copy(update={"from_components": True})
        assert "Touching ones count as one" in box(objects=objects)["How far to trust this"]


def test_nothing_is_said_without_a_number(make, make_case):
    scores = make([make_case("a.png")]).scores.model_copy(
        update={"measures": (), "probabilities": None, "objects": None, "main_interval": None}
    )
    topics = [each.topic for each in findings(scores, "test", "val")]
    assert "Outlines" not in topics
    assert "Probabilities" not in topics


@pytest.mark.parametrize("task", ["semantic", "instances", "membranes"])
def test_nothing_is_praised(box, task):
    words = " ".join(box(task).values()).lower()
    assert not {"excellent", "great", "perfect", "accurate", "reliable", "impressive"} & set(words.split())
