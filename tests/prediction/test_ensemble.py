"""Several networks as one."""

from weakref import ref

import numpy as np
import pytest

from uvala.prediction.ensemble import mean_outputs
from uvala.runs.inference import Outputs

RNG = np.random.default_rng(0)


def outputs(*, borders: bool = False, distance: bool = False) -> Outputs:
    share = RNG.random((4, 5), np.float32)
    maps = [RNG.random((4, 5), np.float32) if wanted else None for wanted in (borders, distance)]
    return Outputs(np.stack([1 - share, share]), *maps)


def test_one_alone_is_itself():
    only = outputs()
    assert mean_outputs([only]) is only


def test_probabilities_are_the_mean_and_sum_to_one():
    three = [outputs() for _ in range(3)]
    mean = mean_outputs(three)
    expected = np.mean([each.probabilities.astype(np.float64) for each in three], axis=0)
    np.testing.assert_allclose(mean.probabilities, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(mean.probabilities.sum(axis=0), 1, rtol=0, atol=1e-6)
    assert mean.borders is mean.distance is None


def test_of_outputs_that_come_one_by_one_no_more_than_two_are_held():
    alive: list[ref] = []

    def one_by_one():
        for _ in range(5):
            said = outputs()
            alive.append(ref(said))
            yield said
            del said
            assert sum(each() is not None for each in alive) <= 2

    mean_outputs(one_by_one())
    assert len(alive) == 5


@pytest.mark.parametrize("name", ["borders", "distance"])
def test_what_was_learnt_of_objects_is_averaged_too(name):
    pair = [outputs(**{name: True}) for _ in range(2)]
    expected = (getattr(pair[0], name) + getattr(pair[1], name)) / 2
    np.testing.assert_allclose(getattr(mean_outputs(pair), name), expected, rtol=0, atol=1e-6)
