"""How sure a prediction is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from uvala.prediction.uncertainty import disagreement_of, entropy_of


def maps(*probabilities: float) -> np.ndarray:
    """Probabilities [K, 1, 1] of one pixel."""
    return np.array(probabilities, np.float32)[:, None, None]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_all_classes_alike_is_one(classes):
    assert_allclose(entropy_of(maps(*[1 / classes] * classes)), 1, atol=1e-6)


@pytest.mark.parametrize("known", [(1, 0), (0, 1), (0, 0, 1)])
def test_a_certain_class_is_zero(known):
    assert entropy_of(maps(*known)) == 0


def test_of_two_classes_it_is_shannons_in_bits():
    assert_allclose(entropy_of(maps(0.25, 0.75)), 0.8112781, atol=1e-6)


class TestDisagreement:
    def test_of_two_that_are_sure_of_different_classes_is_all(self):
        assert disagreement_of(entropy_of(maps(0.5, 0.5)), np.zeros((1, 1), np.float32)) == 1

    def test_of_two_that_say_the_same_is_nothing(self):
        entropy = entropy_of(maps(0.3, 0.7))
        assert disagreement_of(entropy, entropy) == 0

    def test_is_never_negative(self):
        low, high = np.float32([[0.2]]), np.float32([[0.2000001]])
        assert disagreement_of(low, high) == 0
