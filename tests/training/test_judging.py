"""Which weights are kept: the best on the validation images, or later ones that may be as good."""

import pytest

from uvala.training.judging import is_best
from uvala.training.progress import Floor, Progress


def after(share, *, best_share, score, **others):
    return Progress(share=share, best_share=best_share, best_dice=score, best_score=score, **others)


def test_the_first_weights_are_the_best_so_far():
    assert is_best(0.1, Progress(share=0.05))


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_better_weights_and_equal_ones_that_come_later_are_kept(share):
    assert is_best(0.81, after(share, best_share=0.1, score=0.8))
    assert is_best(0.8, after(share, best_share=0.1, score=0.8))


def test_late_weights_that_are_hardly_worse_than_early_ones_are_preferred():
    assert is_best(0.79, after(0.6, best_share=0.3, score=0.8))
    assert not is_best(0.77, after(0.6, best_share=0.3, score=0.8)), "an error of 0.23 for one of 0.2"


def test_among_early_weights_and_among_late_ones_the_score_decides():
    assert not is_best(0.79, after(0.4, best_share=0.3, score=0.8))
    assert not is_best(0.79, after(0.9, best_share=0.6, score=0.8))


def test_weights_that_score_less_than_those_of_the_start_are_never_kept():
    start = Floor(score=0.9)
    assert not is_best(0.899, after(0.9, best_share=0.0, score=0.9, floor=start))
    assert not is_best(0.892, after(0.6, best_share=0.2, score=0.901, floor=start)), "late, and hardly worse"


def test_above_the_start_late_weights_are_preferred_as_ever():
    assert is_best(0.905, after(0.6, best_share=0.2, score=0.91, floor=Floor(score=0.9)))
