"""What the terminal and the CSV show."""

import csv

import numpy as np
import pytest

from scored_rows import NAMES, scored
from uvala.arrays import IGNORE
from uvala.evaluation.case import Case, Method
from uvala.evaluation.columns import span
from uvala.evaluation.evaluate import evaluate
from uvala.evaluation.tables import table, write_csv


@pytest.fixture(scope="module")
def scores():
    return scored(([0, 1, 1, 0], [0, 1, 0, 0]), ([0, 0, 0, 0], [0, 0, 0, 0]), ([1, 1], [IGNORE, IGNORE]))


def drawn(task, seed=0):
    """An evaluation of six drawn images with objects and probabilities; one of them is empty."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(6):
        objects = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((6, 6), int)).astype(np.int32)
        objects[::6] = objects[:, ::6] = 0
        objects *= number > 0
        truth = (objects > 0).astype(np.uint8)
        noisy = np.clip(truth * 0.6 + rng.random(truth.shape) * 0.7 * (number > 0) - 0.1, 0, 1).astype(
            np.float32
        )
        probabilities = np.stack([1 - noisy, noisy])
        mask = probabilities.argmax(0).astype(np.uint8)
        numbered = objects if task == "instances" else None
        cases.append(Case(f"{number}.png", truth, mask, probabilities, true_objects=numbered))
    return evaluate(cases, NAMES[:2], "test", settings={"task": task})


def membranes(held, probabilities=True):
    """An evaluation of cells drawn perfectly in each image; truth holds them where `held` is 1."""
    cells = np.ones((12, 12), np.uint8)
    cells[::4] = cells[:, ::4] = 0
    probability = np.stack([1 - cells, cells]).astype(np.float32) if probabilities else None
    cases = [Case(f"{n}.png", cells * np.uint8(there), cells, probability) for n, there in enumerate(held)]
    method = Method("what hangs together, cut at its necks", threshold=0.4) if probabilities else None
    return evaluate(cases, ("membrane", "cell"), "test", settings={"task": "membranes"}, method=method)


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


class TestCsv:
    """A row per image."""

    def test_holds_the_scores_of_each_image_and_nothing_where_a_class_is_absent(self, scores, tmp_path):
        write_csv(scores, tmp_path / "scores.csv")
        rows = read(tmp_path / "scores.csv")
        assert [row["name"] for row in rows] == ["0.png", "1.png", "2.png"]
        assert float(rows[0]["dice_cell"]) == pytest.approx(2 / 3)
        assert float(rows[0]["iou_background"]) == pytest.approx(2 / 3)
        assert (rows[1]["dice_cell"], rows[2]["accuracy"], rows[2]["pixels"]) == ("", "", "0")

    def test_holds_every_measure_once(self, scores, tmp_path):
        write_csv(scores, tmp_path / "scores.csv")
        with (tmp_path / "scores.csv").open(newline="") as stream:
            head = next(csv.reader(stream))
        assert len(head) == len(set(head))
        wanted = {name.replace("/", "_", 1) for image in scores.images for name in image.measures} - {"dice"}
        assert wanted < set(head)

    def test_a_comma_in_a_class_name_does_not_move_the_columns(self, scores, tmp_path):
        write_csv(scores, tmp_path / "scores.csv")
        with (tmp_path / "scores.csv").open(newline="") as stream:
            rows = list(csv.reader(stream))
        assert len({len(row) for row in rows}) == 1

    def test_counts_objects_image_by_image(self, tmp_path):
        write_csv(drawn("instances"), tmp_path / "scores.csv")
        assert [row["true_objects"] for row in read(tmp_path / "scores.csv")] == ["0.0"] + ["16.0"] * 5


class TestTable:
    """What the terminal shows."""

    def test_begins_with_the_score_of_the_task(self, scores):
        lines = table(scores).splitlines()
        assert lines[0].startswith("test: 3 images, task semantic")
        assert lines[1] == "mean Dice 0.7949  (no interval: too few independent images)"

    @pytest.mark.parametrize(
        ("task", "words"), [("semantic", "mean Dice"), ("instances", "mean AP"), ("membranes", "V_rand")]
    )
    def test_the_score_of_each_task_has_its_interval(self, task, words):
        line = table(drawn(task)).splitlines()[1]
        assert line.startswith(words)
        assert "95% interval 0." in line

    @pytest.mark.parametrize("task", ["semantic", "instances", "membranes"])
    def test_fits_a_terminal_of_100_columns(self, task):
        assert max(map(len, table(drawn(task)).splitlines())) <= 100

    def test_fits_with_twelve_classes_of_long_names(self):
        names = tuple(f"a_class_with_a_name_of_some_length_{index}" for index in range(12))
        pairs = [(list(range(12)), [*range(11), 0])] * 6
        assert max(map(len, table(scored(*pairs, names=names)).splitlines())) <= 100

    def test_shows_each_class_with_its_scores_and_a_dash_where_there_is_none(self, scores):
        text = table(scores)
        assert "pixel accuracy 0.8750" in text
        row = next(line for line in text.splitlines() if line.startswith("cell"))
        assert row.split()[1:6] == ["0.6667", "-", "0.5000", "0.5000", "1.0000"]
        assert next(line for line in text.splitlines() if line.startswith("debris")).split()[2:6] == ["-"] * 4

    def test_columns_are_flush_right_under_their_heads(self, scores):
        lines = table(scores).splitlines()
        head = next(line for line in lines if line.startswith("pixels"))
        cell = lines[lines.index(head) + 2]
        for title, number in {"Dice": "0.6667", "precision": "0.5000", "recall": "1.0000"}.items():
            end = head.index(f"  {title}") + 2 + len(title)
            assert cell[:end].endswith(number)

    def test_prints_both_readings_and_the_policy_where_images_lack_a_class(self, scores):
        assert "absent as 1" in table(scores)
        assert scores.policy.replace("\n", " ") in table(scores).replace("\n", " ")

    def test_counts_empty_cases_in_every_table_of_images_even_if_there_are_none(self):
        text = table(scored(([0, 1], [0, 1]), ([1, 0, 1], [1, 0, 0]), names=NAMES[:2]))
        head = next(line for line in text.splitlines() if line.startswith("image by image"))
        assert head.split()[-4:] == ["images", "absent", "missed", "spurious"]
        assert "absent as" not in text

    def test_shows_undefined_scores_where_there_are_some(self):
        truth = np.full((6, 8), IGNORE, np.uint8)
        truth[2, 3] = 1
        prediction = (truth == 1).astype(np.uint8)
        text = table(evaluate([("a", prediction, truth)], NAMES[:2], "test"))
        outlines = next(line for line in text.splitlines() if line.startswith("class "))
        assert outlines.split()[-3:] == ["missed", "spurious", "undefined"]
        assert "undefined" not in table(drawn("instances")).split("Dice, IoU, precision")[0]

    def test_objects_come_with_their_empty_images_in_both_readings(self):
        text = table(drawn("instances"))
        assert "5 with objects, 1 with none (absent)" in text
        assert "absent as 1" in text

    def test_says_so_if_true_objects_are_but_connected_pixels(self):
        assert "The masks and the predictions name classes only" in table(drawn("membranes"))
        numbered = table(drawn("instances"))
        assert "The predictions name classes only" in numbered
        assert "taken as a predicted object." in numbered
        assert "The masks" not in numbered

    def test_says_on_how_many_images_the_score_of_membranes_stands(self):
        text = " ".join(table(membranes([1, 1, 1, 0, 0])).split())
        assert "V_rand 1.0000 on 3 of 5 images; the others hold no true cell, in 2 of them cells are" in text
        assert "V_rand 1.0000 on 2 images." in table(membranes([1, 1]))

    def test_the_model_s_own_cells_are_not_taken_for_a_threshold(self):
        rows = table(membranes([1] * 6)).splitlines()
        assert any(row.startswith("own cells (necks cut, above 0.40)  1.0000") for row in rows)
        assert any(row.startswith("threshold alone, best at 0.10 ") for row in rows)
        assert max(map(len, rows)) <= 100

    def test_masks_have_cells_and_no_threshold(self):
        text = table(membranes([1] * 6, probabilities=False))
        assert "cells of the masks  1.0000" in text
        assert "hreshold" not in text
        assert "model" not in text

    def test_every_score_of_objects_has_its_interval(self):
        lines = table(drawn("instances")).splitlines()
        for title in ("AP at IoU 0.50", "F1 at IoU 0.50", "PQ, SQ x RQ", "SQ,", "RQ", "AJI"):
            (line,) = [line for line in lines if line.startswith(title)]
            assert " - " not in line, line

    def test_an_interval_whose_ends_are_alike_and_objects_of_one_size_are_one_number(self):
        text = table(drawn("instances"))
        assert span((0.0, 0.0001)) == "0.000"
        assert span((0.0, 0.001)) == "0.000 to 0.001"
        areas = next(line for line in text.splitlines() if line.startswith("area in pixels"))
        assert areas.split()[3:] == ["25"]

    def test_shows_what_is_taken_for_what(self, scores):
        confusion = table(scores).split("predicted as")[1].splitlines()
        # of 7 background pixels one is taken for a cell; the only cell pixel is found
        assert [line.split()[-3:] for line in confusion[2:4]] == [
            ["85.7", "14.3", "0.0"],
            ["0.0", "100.0", "0.0"],
        ]

    def test_scores_of_an_older_version_are_shown_as_far_as_they_go(self, scores):
        fields = ("subset", "policy", "classes", "mean_dice", "mean_iou", "accuracy", "confusion", "images")
        # of 7 background pixels one is taken for a cell, and the only cell is found: (12 / 13 + 2 / 3) / 2
        old = type(scores)(**{name: getattr(scores, name) for name in fields})
        assert "mean Dice 0.7949" in table(old)
