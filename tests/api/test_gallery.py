"""Which cases a report shows."""

import numpy as np
import pytest

from uvala.api.gallery import Gallery
from uvala.report.content import ShownCase

BLANK = np.zeros((4, 4), np.uint8)


def gallery_of(*scores):
    """A gallery that saw a case for each score; its name is its score."""
    gallery = Gallery()
    for score in scores:
        gallery.add(ShownCase(str(score), BLANK[None], BLANK, BLANK, 0.5, score=score))
    return gallery


def shown(cases):
    return [case.score for case in cases]


@pytest.fixture
def many():
    return gallery_of(*((number * 7 % 40) / 40 for number in range(40)))


def test_the_worst_come_first_by_the_score_of_the_task(many):
    assert shown(many.ranked()) == [number / 40 for number in range(6)]


def test_the_best_come_first(many):
    assert shown(many.best()) == [39 / 40, 38 / 40, 37 / 40]


def test_typical_cases_are_neither(many):
    extremes = {*shown(many.ranked()), *shown(many.best())}
    assert not extremes & set(shown(many.typical(0.5)))


def test_of_few_cases_none_is_both_good_and_bad():
    for count in range(1, 12):
        gallery = gallery_of(*(number / 12 for number in range(count)))
        worst, best = shown(gallery.ranked()), shown(gallery.best())
        assert worst == sorted(worst)
        assert best == sorted(best, reverse=True)
        assert worst[-1] < min(best, default=1)
        assert worst[0] == 0
        assert not best or best[0] == (count - 1) / 12


def test_a_single_case_is_the_worst_and_the_typical_one():
    gallery = gallery_of(0.7)
    assert (shown(gallery.ranked()), shown(gallery.best()), shown(gallery.typical(0.7))) == ([0.7], [], [0.7])


def test_without_a_score_mean_dice_ranks():
    gallery = Gallery()
    for dice in (0.9, 0.1, 0.5):
        gallery.add(ShownCase(str(dice), BLANK[None], BLANK, BLANK, dice))
    assert [case.mean_dice for case in gallery.ranked()] == [0.1]


def test_large_pictures_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("uvala.api.gallery._MOST_BYTES", 100)
    gallery = gallery_of(*(number / 100 for number in range(100)))
    kept = {*shown(gallery.ranked()), *shown(gallery.best()), *shown(gallery.typical(0.5))}
    assert len(kept) <= 5
    assert 0 in kept
