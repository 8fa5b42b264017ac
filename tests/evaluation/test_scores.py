"""Scores on disk and in a terminal, and what `verdict` finds suspicious."""

import csv
import json

import numpy as np
import pytest

from uvala.arrays import IGNORE
from uvala.errors import RunError
from uvala.evaluation.evaluate import evaluate
from uvala.evaluation.scores import Scores, table, verdict, write_csv

NAMES = ("background", "cell", "debris, other")


def scored(*pairs, names=NAMES):
    """Scores of images given as (prediction, truth), each a list of class indices."""
    cases = [
        (f"{index}.png", np.array([prediction], np.uint8), np.array([truth], np.uint8))
        for index, (prediction, truth) in enumerate(pairs)
    ]
    return evaluate(cases, names, "test")


@pytest.fixture(scope="module")
def scores():
    return scored(([0, 1, 1, 0], [0, 1, 0, 0]), ([0, 0, 0, 0], [0, 0, 0, 0]), ([1, 1], [IGNORE, IGNORE]))


class TestJson:
    """What is written is what is read."""

    def test_scores_survive_the_round_trip(self, scores, tmp_path):
        scores.to_json(tmp_path / "scores.json")
        assert Scores.from_json(tmp_path / "scores.json") == scores

    def test_what_has_no_score_is_null_so_that_every_reader_of_json_can_read_it(self, scores, tmp_path):
        scores.to_json(tmp_path / "scores.json")
        content = json.loads((tmp_path / "scores.json").read_text(), parse_constant=pytest.fail)
        assert content["classes"][2]["dice"] is None

    @pytest.mark.parametrize("content", ["", "{}", "[1]", "null", '{"subset": "test"}', "\x00"])
    def test_another_file_is_refused_by_name(self, content, tmp_path):
        (tmp_path / "scores.json").write_text(content)
        with pytest.raises(RunError, match=r"scores\.json, which cannot be read as scores"):
            Scores.from_json(tmp_path / "scores.json")

    def test_a_file_that_is_not_there_is_refused_by_name(self, tmp_path):
        with pytest.raises(RunError, match=r"none\.json"):
            Scores.from_json(tmp_path / "none.json")


class TestCsv:
    """A row per image."""

    def test_holds_the_scores_of_each_image_and_nothing_where_a_class_is_absent(self, scores, tmp_path):
        write_csv(scores, tmp_path / "scores.csv")
        with (tmp_path / "scores.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["name"] for row in rows] == ["0.png", "1.png", "2.png"]
        assert float(rows[0]["dice_cell"]) == pytest.approx(2 / 3)
        assert float(rows[0]["iou_background"]) == pytest.approx(2 / 3)
        assert (rows[1]["dice_cell"], rows[2]["accuracy"], rows[2]["pixels"]) == ("", "", "0")

    def test_a_comma_in_a_class_name_does_not_move_the_columns(self, scores, tmp_path):
        write_csv(scores, tmp_path / "scores.csv")
        with (tmp_path / "scores.csv").open(newline="") as stream:
            rows = list(csv.reader(stream))
        assert {len(row) for row in rows} == {4 + 2 * len(NAMES)}


class TestTable:
    """What the terminal shows."""

    def test_shows_each_class_with_its_scores_and_a_dash_where_there_is_none(self, scores):
        lines = table(scores).splitlines()
        assert lines[0] == "test: 3 images, pixel accuracy 0.8750"
        row = next(line for line in lines if line.startswith("cell"))
        assert row.split()[1:6] == ["0.6667", "0.5000", "0.5000", "1.0000", "0.6667"]
        assert next(line for line in lines if line.startswith("debris")).split()[2:6] == ["-"] * 4

    def test_columns_are_flush_right_under_their_heads(self, scores):
        head, _, cell, *_ = table(scores).splitlines()[2:]
        for title, number in {"Dice": "0.6667", "precision": "0.5000", "image Dice": "0.6667"}.items():
            end = head.index(f"  {title}") + 2 + len(title)
            assert cell[:end].endswith(number)

    def test_prints_both_readings_and_the_policy_where_images_lack_a_class(self, scores):
        assert "absent as 1" in table(scores)
        assert scores.policy in table(scores)

    def test_says_nothing_of_empty_images_where_there_are_none(self):
        text = table(scored(([0, 1], [0, 1]), ([1, 0, 1], [1, 0, 0]), names=NAMES[:2]))
        assert not any(word in text for word in ("absent", "missed", "false alarm"))

    def test_shows_what_is_taken_for_what(self, scores):
        confusion = table(scores).split("predicted as")[1].splitlines()
        # of 7 background pixels one is taken for a cell; the only cell pixel is found
        assert [line.split()[-3:] for line in confusion[3:5]] == [
            ["85.7%", "14.3%", "0.0%"],
            ["0.0%", "100.0%", "0.0%"],
        ]


class TestVerdict:
    """A result that is rarely what it seems is said in words."""

    def test_an_ordinary_result_is_not_commented(self):
        good = scored(([0, 1, 1, 0], [0, 1, 0, 0]), ([0, 1, 1], [0, 1, 1]), ([0, 1], [1, 1]), names=NAMES[:2])
        assert verdict(good) == ()

    def test_one_class_predicted_everywhere(self):
        black = scored(([0, 0, 0, 0], [0, 1, 0, 0]), ([0, 0, 0], [1, 1, 0]), names=NAMES[:2])
        (sentence,) = verdict(black)
        assert sentence.startswith(
            "The model predicts 'background' for every pixel of every image, although 42.9%"
        )

    def test_a_class_that_is_never_predicted(self):
        blind = scored(([0, 1, 0, 0], [0, 1, 2, 0]), ([1, 0, 0], [1, 1, 0]))
        assert verdict(blind) == ("'debris, other' is never predicted, although it is 14.29% of the pixels.",)

    def test_a_class_that_is_predicted_without_being_there(self):
        dreaming = scored(([0, 1, 2, 0], [0, 1, 1, 0]), ([1, 0, 0], [1, 1, 0]))
        assert verdict(dreaming) == (
            "'debris, other' is predicted, although no mask of these images holds it.",
        )

    def test_masks_of_one_class_only(self):
        empty = scored(([0, 0], [0, 0]), ([0, 1], [0, 0]), names=NAMES[:2])
        assert "hold only 'background'" in verdict(empty)[0]

    def test_exchanged_classes(self):
        swapped = scored(([1, 1, 0, 1], [0, 0, 1, 0]), ([1, 0, 0], [0, 1, 0]), names=NAMES[:2])
        assert "seem to be exchanged" in verdict(swapped)[0]

    def test_the_same_dice_on_every_image(self):
        constant = scored(*[([0, 1, 1, 0], [0, 1, 0, 1])] * 3, names=NAMES[:2])
        assert verdict(constant)[0].startswith("All 3 images score the same Dice of 0.500")

    def test_a_perfect_score_on_every_image(self):
        perfect = scored(*[([0, 1], [0, 1])] * 3, names=NAMES[:2])
        assert verdict(perfect)[0].startswith("All 3 images score a perfect Dice of 1: make sure")

    def test_two_images_are_too_few_to_call_a_dice_constant(self):
        assert verdict(scored(*[([0, 1], [0, 1])] * 2, names=NAMES[:2])) == ()

    def test_nothing_but_ignored_pixels(self):
        assert verdict(scored(([0, 1], [IGNORE, IGNORE])))[0].startswith("No pixel was counted")
