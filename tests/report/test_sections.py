"""Objects, cells, probabilities: every number of the scores, and no section without any."""

import re

import pytest

from uvala.report.sections import object_section, partition_section, probability_section


@pytest.fixture
def scores(make, complete):
    return complete(make(), "membranes").scores


def values(section):
    return {row["name"]: row["value"] for row in section["rows"]}


class TestObjects:
    def test_ap_is_given_with_its_interval(self, scores):
        rows = object_section(scores)["rows"]
        assert rows[0] == {
            "name": "AP, mean of IoU 0.5 to 0.95",
            "value": "0.491",
            "interval": "0.420 to 0.560",
            "words": "",
        }
        assert values(object_section(scores))["AP at IoU 0.75"] == "0.540"

    def test_what_was_not_measured_is_left_out(self, scores):
        assert "COCO AP" not in values(object_section(scores))

    def test_errors_are_counted(self, scores):
        counts = {each["name"]: each["value"] for each in object_section(scores)["counts"]}
        assert counts == {
            "true": "100",
            "predicted": "100",
            "missed": "6",
            "spurious": "4",
            "split": "3",
            "merged": "9",
        }

    def test_images_without_any_object_are_counted(self, scores):
        objects = scores.objects.model_copy(update={"images_absent": 2})
        words = object_section(scores.model_copy(update={"objects": objects}))["absent"]
        assert words == "2 images without any object, true or predicted: left out of means."

    def test_recall_by_size_is_drawn(self, scores):
        chart = object_section(scores)["charts"][1].svg
        assert "12 to 60 pixels: 28 of 40 found" in chart
        assert "to 300" in chart
        assert ">70%</text>" in chart


class TestCells:
    def test_the_best_threshold_and_the_models_own_are_marked(self, scores):
        chart = partition_section(scores)["charts"][0].svg
        assert "best 0.900" in chart
        assert "the model's own, 0.52" in chart

    def test_images_without_a_true_cell_are_counted(self, scores):
        cells = scores.partition.model_copy(update={"images_absent": 1})
        words = partition_section(scores.model_copy(update={"partition": cells}))["absent"]
        assert words == "1 image without any true cell: left out of means."

    def test_of_masks_without_probabilities_no_empty_chart_is_drawn(self, scores):
        bare = scores.partition.plain.model_copy(
            update={"thresholds": (), "best_v_rand": None, "best_v_info": None}
            | {name: () for name in ("v_rand", "v_rand_split", "v_rand_merge")}
            | {name: () for name in ("v_info", "v_info_split", "v_info_merge")}
        )
        cells = scores.partition.model_copy(update={"plain": bare, "thinned": bare})
        section = partition_section(scores.model_copy(update={"partition": cells}))
        assert section["charts"] == []
        assert section["rows"][0]["words"] == "the cells as they were predicted"
        assert not [row for row in section["rows"] if "model" in row["words"]]

    def test_thinned_and_not_are_both_given(self, scores):
        words = [row["words"] for row in partition_section(scores)["rows"]]
        assert "borders as they are, threshold 0.50" in words
        assert "borders thinned, threshold 0.50" in words


class TestProbabilities:
    def test_all_numbers_are_given(self, scores):
        assert list(values(probability_section(scores)).values()) == ["0.034", "0.120", "0.080", "0.140"]

    def test_the_temperature_is_said_if_there_is_one(self, scores):
        assert probability_section(scores)["temperature"] == "1.31"
        cold = scores.probabilities.model_copy(update={"temperature": 1.0})
        assert probability_section(scores.model_copy(update={"probabilities": cold}))["temperature"] == ""

    def test_the_threshold_that_masks_are_made_with_is_marked(self, scores):
        chart = probability_section(scores)["charts"][1].svg
        assert "as masks are made, 0.5" in chart
        assert re.search(r">best 0\.\d{3}<", chart)


def test_what_was_not_measured_has_no_section(make):
    bare = make().scores.model_copy(update={"objects": None, "partition": None, "probabilities": None})
    assert object_section(bare) is partition_section(bare) is probability_section(bare) is None
