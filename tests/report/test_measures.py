"""Which measure counts first, and all images in one table."""

import pytest

from uvala.report.measures import image_table, main_measure, measure_rows, title_of


@pytest.mark.parametrize(
    ("name", "title"),
    [("dice", "Mean Dice"), ("dice/cell", "Dice of cell"), ("ap50", "AP 0.5"), ("new_one", "new one")],
)
def test_measures_are_called_what_people_call_them(name, title):
    assert title_of(name) == title


class TestMainMeasure:
    def test_is_that_of_the_task(self, make, complete):
        main = main_measure(complete(make(), "instances").scores)
        assert (main.title, main.value, main.interval) == ("Mean AP", 0.491, (0.42, 0.56))
        assert len(main.images) == 6

    def test_of_an_older_evaluation_is_the_mean_dice(self, make):
        scores = make().scores
        old = scores.model_copy(update={"main": "dice", "main_value": None, "measures": ()})
        assert main_measure(old).value == scores.mean_dice


class TestImageTable:
    def test_begins_with_the_main_measure_and_the_worst_image(self, make, complete):
        table = image_table(complete(make(), "instances").scores, {})
        assert table["titles"][0] == "Mean AP"
        values = [float(row["cells"][0]) for row in table["rows"]]
        assert values == sorted(values)

    def test_counts_are_whole_numbers(self, make, complete):
        table = image_table(complete(make(), "instances").scores, {})
        assert {row["cells"][table["titles"].index("True")] for row in table["rows"]} == {"2"}

    def test_images_without_a_score_come_last_with_a_dash(self, make, complete):
        scores = complete(make(), "instances").scores
        void = scores.images[0].model_copy(update={"name": "void", "measures": {"ap": None}})
        table = image_table(scores.model_copy(update={"images": (void, *scores.images[1:])}), {})
        assert table["rows"][-1]["name"] == "void"
        assert table["rows"][-1]["cells"][0] == "\N{EN DASH}"

    def test_an_image_that_is_shown_has_its_place(self, make):
        rows = image_table(make().scores, {"3.png": "worst-2"})["rows"]
        assert {row["name"]: row["anchor"] for row in rows if row["anchor"]} == {"3.png": "worst-2"}

    def test_groups_are_named_if_there_are_several(self, make):
        scores = make().scores
        images = tuple(
            image.model_copy(update={"group": f"slide {number % 2}"})
            for number, image in enumerate(scores.images)
        )
        assert image_table(scores.model_copy(update={"images": images}), {})["grouped"]
        assert not image_table(scores, {})["grouped"]


def test_empty_cases_of_a_measure_are_counted(make, complete):
    rows = measure_rows(complete(make()).scores)
    assert [(row["title"], row["mean"], row["counts"]) for row in rows] == [
        ("HD95 of cell", "4.31 px", []),
        ("NSD of cell", "0.913", ["1 missed"]),
    ]
    assert rows[0]["better"] == "less is better"
