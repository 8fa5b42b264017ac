"""What the page of a run says."""

import numpy as np

from uvala.api.scoring import Gallery
from uvala.report.pages import Case


def case(name: str, dice: float) -> Case:
    blank = np.zeros((4, 4), np.uint8)
    return Case(name, blank[None], blank, blank, dice)


class TestGallery:
    def test_keeps_the_worst_cases_the_worst_first(self):
        gallery = Gallery(2)
        for number in range(40):
            gallery.add(case(str(number), (number * 7 % 40) / 40))
        assert [each.mean_dice * 40 for each in gallery.ranked()] == [0, 1, 2, 3, 4, 5]

    def test_typical_cases_lie_near_the_median(self):
        gallery = Gallery(2)
        for number in range(40):
            gallery.add(case(str(number), number / 40))
        assert abs(gallery.typical(0.5)[0].mean_dice - 0.5) < 0.2

    def test_few_cases_are_all_it_has(self):
        gallery = Gallery(2)
        gallery.add(case("only", 0.5))
        assert [each.name for each in gallery.typical(0.5)] == ["only"]


def test_the_page_names_the_scored_subset_and_how_to_score_it_again(disc_run):
    page = disc_run.report.read_text()
    assert "--subset val" in page
    assert "uvala predict" in page


def test_no_sentence_stands_twice_among_the_warnings(disc_run):
    page = disc_run.report.read_text()
    warnings = [event["text"] for event in _warnings(disc_run)]
    assert all(page.count(text) == 1 for text in warnings)


def _warnings(run):
    from uvala.log import read_events

    return [event for event in read_events(run.folder.log_path) if event["event"] == "warning"]
