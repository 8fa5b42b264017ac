"""The scores as tables: every number of the evaluation, and none that it does not have."""

import numpy as np
import pytest

from uvala.evaluation.evaluate import evaluate
from uvala.report.pictures import palette
from uvala.report.tables import score_tables

NAMES = ("background", "cell", "debris")
# image "a": 4 of 6 background pixels right, 2 called cell; 2 cells right; no debris anywhere
TRUTH = np.array([[0, 0, 0, 0], [0, 0, 1, 1]], np.uint8)
PREDICTION = np.array([[0, 0, 0, 0], [1, 1, 1, 1]], np.uint8)


@pytest.fixture(scope="module")
def tables():
    void = np.full_like(TRUTH, 255)
    scores = evaluate([("a", PREDICTION, TRUTH), ("void", PREDICTION, void)], NAMES, "test")
    return score_tables(scores, NAMES, palette(NAMES), {"a": "worst-1"})


def test_each_class_has_its_scores(tables):
    background, cell, _ = tables["classes"]
    assert (background["dice"], cell["dice"]) == ("0.800", "0.667")  # 2*4 / (4 + 6) and 2*2 / (4 + 2)
    assert (cell["precision"], cell["recall"]) == ("0.500", "1.000")


def test_a_class_that_is_nowhere_has_dashes_and_is_named(tables):
    debris = tables["classes"][2]
    assert {debris["dice"], debris["iou"], debris["image_dice"]} == {"\N{EN DASH}"}
    assert tables["absent"].startswith("debris does not occur")


def test_images_without_a_class_are_counted_in_both_readings(tables):
    cell = tables["classes"][1]
    assert (cell["images"], cell["counts"]) == ("1", ["1 without"])
    assert (cell["image_dice"], cell["absent_as_one"]) == ("0.667", "0.833")


def test_rows_of_the_matrix_are_shares_of_the_true_class(tables):
    assert [[cell["words"] for cell in row["cells"]] for row in tables["confusion"]] == [
        ["66.7", "33.3", "0"],
        ["0", "100.0", "0"],
        ["\N{EN DASH}"] * 3,
    ]


def test_images_without_a_score_are_no_dots_but_are_mentioned(tables):
    assert tables["dots"].count(": 0.733</title>") == 1  # mean of 0.8 and 0.667
    assert "1 image without any class to score" in tables["spread"]


@pytest.mark.parametrize(
    ("task", "main", "lacking"),
    [
        ("semantic", "dice", "any class to score"),
        ("instances", "ap", "any object, true or predicted"),
        ("membranes", "v_rand", "any true cell"),
    ],
)
def test_what_an_image_without_a_score_lacks_depends_on_the_task(task, main, lacking):
    scores = evaluate([("a", PREDICTION, TRUTH), ("b", PREDICTION, TRUTH)], NAMES, "test")
    images = [
        image.model_copy(update={"measures": {main: value}})
        for image, value in zip(scores.images, (0.5, None), strict=True)
    ]
    scores = scores.model_copy(update={"task": task, "main": main, "images": tuple(images)})
    assert (
        f"1 image without {lacking}: left out here."
        in score_tables(scores, NAMES, palette(NAMES), {})["spread"]
    )


def test_a_mean_of_images_is_told_from_a_score_of_all_objects(tables, make, complete):
    pooled = {
        task: score_tables(complete(make(), task).scores, NAMES[:2], palette(NAMES[:2]), {})["pooled"]
        for task in ("semantic", "instances", "membranes")
    }
    assert pooled["instances"] == (
        "The heading's AP counts all objects of all images together; the diamond is the mean of the images'"
        " own APs."
    )
    assert "all pixels of all images" in pooled["semantic"]
    assert pooled["membranes"] == ""


def test_of_many_classes_only_the_costliest_confusions_are_listed():
    names = [f"class {number}" for number in range(40)]
    truth = np.arange(40, dtype=np.uint8).repeat(3).reshape(4, 30)
    prediction = truth.copy()
    prediction[truth == 7] = 9
    scores = evaluate([("a", prediction, truth)], names, "test")
    tables = score_tables(scores, names, palette(names), {})
    assert tables["confusion"] == []
    assert [(row["truth"].name, row["taken"].name, row["share"]) for row in tables["confused"]] == [
        ("class 7", "class 9", "100%")
    ]


def test_columns_that_no_class_has_a_value_for_are_left_out(tables):
    assert [title for _, title in tables["columns"]][:2] == ["Precision", "Recall"]
    assert all(any(row[key] != "\N{EN DASH}" for row in tables["classes"]) for key, _ in tables["columns"])


def test_of_a_single_image_there_is_no_other_mean(make, make_case, complete):
    scores = complete(make([make_case("a.png")])).scores
    assert score_tables(scores, NAMES[:2], palette(NAMES[:2]), {})["pooled"] == ""


def test_each_sentence_on_how_it_was_measured_stands_alone(make):
    scores = make().scores.model_copy(update={"policy": "One. 'Two' here.\nThree, e.g. four. Five."})
    tables = score_tables(scores, NAMES[:2], palette(NAMES[:2]), {})
    assert tables["policy"] == ["One.", "'Two' here.", "Three, e.g. four.", "Five."]
