"""Temperature scaling, against its closed forms and a search by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.metrics.calibration import fit_temperature, sample_pixels, with_temperature
from uvala.metrics.probabilities import count_probabilities


def nll(logs, classes, temperature):
    return -log_softmax(logs / temperature, axis=1)[np.arange(len(logs)), classes].mean()


def honest(rng, pixels, num_classes, temperature=1.0):
    """(logits x T, classes): the classes are drawn from the softmax of the logits, so T makes them honest."""
    logits = rng.normal(0, 2, (pixels, num_classes))
    chances = softmax(logits, axis=1).cumsum(axis=1)
    return logits * temperature, (rng.random((pixels, 1)) > chances[:, :-1]).sum(axis=1)


class TestFit:
    """The temperature that makes the truth likeliest."""

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5, 6.0])
    @pytest.mark.parametrize("num_classes", [2, 4])
    def test_finds_the_temperature_that_made_the_network_overconfident(self, temperature, num_classes):
        logits, classes = honest(np.random.default_rng(1), 40_000, num_classes, temperature)
        assert fit_temperature(log_softmax(logits, axis=1), classes) == pytest.approx(temperature, rel=0.05)

    def test_of_logits_and_of_their_log_probabilities_is_the_same(self):
        logits, classes = honest(np.random.default_rng(2), 500, 3, 2.0)
        assert fit_temperature(logits, classes) == pytest.approx(
            fit_temperature(log_softmax(logits, axis=1), classes), rel=1e-5
        )

    def test_no_temperature_of_a_fine_grid_is_better_in_100_random_cases(self):
        rng = np.random.default_rng(3)
        for _ in range(100):
            logs = log_softmax(rng.normal(0, rng.choice([0.5, 3, 20]), (40, 3)), axis=1)
            classes = np.where(rng.random(40) < 0.7, logs.argmax(axis=1), rng.integers(0, 3, 40))
            least = min(nll(logs, classes, t) for t in np.append(np.geomspace(0.1, 10, 60), 1.0))
            assert nll(logs, classes, fit_temperature(logs, classes)) <= least + 1e-9

    def test_two_kinds_of_pixels_have_a_closed_form(self):
        # three of four pixels at logit +-1 are right: at T the model must say 0.75, so 1 / T = log 3
        logits = np.array([[0.0, 1.0]] * 4)
        assert fit_temperature(logits, np.array([1, 1, 1, 0])) == pytest.approx(1 / np.log(3), rel=1e-4)

    @pytest.mark.parametrize(("classes", "bound"), [([1, 1], 0.1), ([0, 0], 10)])
    def test_all_right_or_all_wrong_ends_at_a_bound(self, classes, bound):
        logs = np.log([[0.1, 0.9], [0.2, 0.8]])
        assert fit_temperature(logs, np.array(classes)) == pytest.approx(bound, rel=1e-3)

    def test_certain_and_right_stays_as_it_is(self):
        assert fit_temperature(np.array([[0.0, -np.inf]] * 3), np.zeros(3, int)) == 1

    def test_certain_and_wrong_is_finite(self):
        logs = np.array([[0.0, -np.inf]] * 9)
        assert 1 < fit_temperature(logs, np.array([0] * 8 + [1])) <= 10

    @pytest.mark.parametrize(
        ("logs", "classes"),
        [
            (np.zeros((0, 2)), np.zeros(0, int)),
            (np.zeros((3, 2)), np.zeros(2, int)),
            (np.zeros((3, 2)), np.array([0, 1, 2])),
            (np.zeros((3, 1)), np.zeros(3, int)),
            (np.full((3, 2), np.nan), np.zeros(3, int)),
            (np.full((3, 2), -np.inf), np.zeros(3, int)),
        ],
    )
    def test_refuses_what_is_no_sample(self, logs, classes):
        with pytest.raises(ShapeError, match="log-probabilities of shape"):
            fit_temperature(logs, classes)


class TestApply:
    """softmax(log p / T) is softmax(logits / T)."""

    @pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 3.0, 10.0])
    def test_equals_the_softmax_of_divided_logits(self, temperature):
        logits = np.random.default_rng(4).normal(0, 4, (3, 16, 16))
        scaled = with_temperature(softmax(logits, axis=0), temperature)
        assert scaled.dtype == np.float32
        assert_allclose(scaled, softmax(logits / temperature, axis=0), atol=1e-6)

    @pytest.mark.parametrize("temperature", [0.1, 3.0, 10.0])
    def test_never_changes_the_likeliest_class_even_where_two_are_almost_equal(self, temperature):
        rng = np.random.default_rng(5)
        logits = np.where(rng.random((3, 64, 64)) < 0.8, 0.0, rng.normal(0, 30, (3, 64, 64)))
        close = softmax(logits + rng.normal(0, 1e-7, logits.shape), axis=0).astype(np.float32)
        scaled = with_temperature(close, temperature)
        assert_array_equal(scaled.argmax(axis=0), close.argmax(axis=0))
        assert_allclose(scaled.sum(axis=0), 1, atol=1e-6)

    def test_zero_stays_zero_and_one_stays_one(self):
        certain = np.array([[[0.0, 1.0]], [[1.0, 0.0]]], np.float32)
        assert_array_equal(with_temperature(certain, 5.0), certain)

    def test_changes_nothing_of_what_it_is_given(self):
        given = np.full((2, 3, 3), 0.5, np.float32)
        with_temperature(given, 2.0)
        assert (given == 0.5).all()

    @pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan])
    def test_refuses_what_is_no_temperature(self, temperature):
        with pytest.raises(ShapeError, match="a temperature of"):
            with_temperature(np.full((2, 1, 1), 0.5), temperature)


class TestSample:
    """A fair draw of the pixels that count."""

    PROBABILITIES = softmax(np.random.default_rng(6).normal(size=(3, 20, 20)), axis=0)
    TRUTH = np.random.default_rng(7).choice([0, 1, 2, IGNORE], (20, 20)).astype(np.uint8)

    def test_of_all_pixels_is_all_that_count(self):
        logs, classes = sample_pixels(self.PROBABILITIES, self.TRUTH, 10_000, np.random.default_rng(0))
        kept = self.TRUTH != IGNORE
        assert_array_equal(classes, self.TRUTH[kept])
        assert_allclose(np.exp(logs), self.PROBABILITIES[:, kept].T, atol=1e-6)

    def test_takes_no_pixel_twice_and_each_as_often_as_any_other(self):
        numbered = np.stack([np.arange(1, 401).reshape(20, 20) / 401] * 2)
        taken = np.zeros(401, int)
        for seed in range(400):
            logs, _ = sample_pixels(numbered, np.zeros((20, 20), np.uint8), 100, np.random.default_rng(seed))
            numbers = np.rint(np.exp(logs[:, 0]) * 401).astype(int)
            assert len(set(numbers)) == 100
            taken[numbers] += 1
        # 100 +- 8.7 of 400 draws each; seven standard deviations
        assert taken[0] == 0
        assert np.abs(taken[1:] - 100).max() < 60

    def test_leaves_out_what_is_not_counted(self):
        counted = np.zeros((20, 20), bool)
        counted[3, 4] = True
        truth = np.zeros((20, 20), np.uint8)
        logs, classes = sample_pixels(self.PROBABILITIES, truth, 5, np.random.default_rng(0), counted=counted)
        assert_allclose(np.exp(logs[0]), self.PROBABILITIES[:, 3, 4], atol=1e-6)
        assert len(classes) == 1

    def test_of_an_image_without_counted_pixels_is_empty(self):
        ignored = np.full((20, 20), IGNORE, np.uint8)
        logs, classes = sample_pixels(self.PROBABILITIES, ignored, 5, np.random.default_rng(0))
        assert (logs.shape, classes.shape) == ((0, 3), (0,))

    def test_refuses_shapes_that_do_not_fit(self):
        with pytest.raises(ShapeError, match=r"shape \(3, 20, 20\) for a truth of shape \(20, 19\)"):
            sample_pixels(self.PROBABILITIES, self.TRUTH[:, 1:], 5, np.random.default_rng(0))


def test_the_fitted_temperature_makes_an_overconfident_network_honest():
    logits, classes = honest(np.random.default_rng(8), 40_000, 3, 3.0)
    probabilities = softmax(logits, axis=1).T.reshape(3, 200, 200)
    truth = classes.reshape(200, 200).astype(np.uint8)
    sample = sample_pixels(probabilities, truth, 20_000, np.random.default_rng(0))
    before = count_probabilities(probabilities, truth)
    after = count_probabilities(with_temperature(probabilities, fit_temperature(*sample)), truth)
    assert before.ece > 0.1
    assert after.ece < 0.02
    assert after.nll < before.nll
