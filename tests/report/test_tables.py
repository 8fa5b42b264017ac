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
