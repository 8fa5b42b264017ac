"""What is said of a training that had no time."""

import pytest

from uvala.api.fitting import _too_few
from uvala.errors import ConfigError
from uvala.plan.schema import LengthConfig
from uvala.training.job import steps_of


@pytest.mark.parametrize(
    ("steps", "since", "words"),
    [(1, 0, "no more than a step"), (9, 0, "no more than 9 steps"), (400, 400, "no step was trained")],
)
def test_too_few_steps_are_told(steps, since, words):
    assert words in _too_few(LengthConfig(budget=30.0), steps, since=since)


def test_enough_steps_are_not():
    assert not _too_few(LengthConfig(budget=30.0), 100, since=0)


def test_few_steps_that_were_asked_for_are_not():
    assert not _too_few(LengthConfig(steps=2), 2, since=0)


def test_a_plan_that_lost_its_length_is_refused():
    with pytest.raises(ConfigError, match="a plan without a length"):
        steps_of(LengthConfig(), 10)
