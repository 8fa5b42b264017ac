"""Intervals and paired tests, against scipy, closed forms and the enumeration of all sign flips."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import bootstrap, permutation_test, t, ttest_1samp

from uvala.errors import ShapeError
from uvala.metrics.intervals import (
    bootstrap_interval,
    bootstrap_pooled,
    expanded_level,
    holm,
    paired_difference,
)
from uvala.metrics.pixels import dice

SCORES = np.random.default_rng(1).beta(8, 1.2, 40)


def all_flips(differences):
    """The p-value by its definition: the share of sign flips whose mean is as far from 0."""
    observed = abs(np.sum(differences))
    sums = [abs(np.dot(signs, differences)) for signs in product([-1, 1], repeat=len(differences))]
    return np.mean(np.array(sums) >= observed - 1e-12)


def of_scipy(values, statistic, method):
    """The interval by scipy, at the level that makes up for few values."""
    level = expanded_level(0.95, len(values))
    return bootstrap(
        (values,),
        statistic,
        n_resamples=2000,
        method=method,
        confidence_level=level,
        random_state=np.random.default_rng(0),
    ).confidence_interval


class TestInterval:
    """The mean or median of the images and how sure it is."""

    def test_of_the_mean_equals_the_bca_interval_of_scipy(self):
        found, expected = bootstrap_interval(SCORES), of_scipy(SCORES, np.mean, "BCa")
        assert found.value == pytest.approx(SCORES.mean(), abs=1e-12)
        assert found[1:] == pytest.approx(tuple(expected), abs=1e-9)  # the same draws

    @pytest.mark.parametrize("count", [39, 40])
    def test_of_the_median_equals_the_percentile_interval_of_scipy(self, count):
        values = SCORES[:count]
        found, expected = (
            bootstrap_interval(values, statistic="median"),
            of_scipy(values, np.median, "percentile"),
        )
        assert found.value == np.median(values)
        assert found[1:] == pytest.approx(tuple(expected), abs=1e-9)

    def test_is_about_as_wide_as_a_t_interval(self):
        values = np.random.default_rng(2).normal(0.7, 0.1, 12)
        found = bootstrap_interval(values)
        half = t.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12)
        assert_allclose(found, (values.mean(), values.mean() - half, values.mean() + half), atol=0.25 * half)

    @pytest.mark.parametrize(("count", "least"), [(5, 0.84), (10, 0.88), (30, 0.9)])
    def test_holds_the_true_mean_nearly_as_often_as_it_says(self, count, least):
        rng, held = np.random.default_rng(3), 0
        for _ in range(200):
            interval = bootstrap_interval(rng.beta(8, 1.2, count), resamples=500)
            held += interval.low <= 8 / 9.2 <= interval.high
        assert least <= held / 200 <= 0.99

    def test_leaves_absent_images_out(self):
        holed = np.insert(SCORES, [3, 20], np.nan)
        assert bootstrap_interval(holed) == bootstrap_interval(SCORES)

    def test_of_equal_values_has_no_width(self):
        assert bootstrap_interval([0.5] * 9) == (0.5, 0.5, 0.5)

    @pytest.mark.parametrize(("values", "value"), [([], np.nan), ([np.nan], np.nan), ([0.7], 0.7)])
    def test_of_one_image_or_none_there_is_none(self, values, value):
        assert bootstrap_interval(values) == pytest.approx((value, np.nan, np.nan), nan_ok=True)

    def test_of_two_images_it_spans_them(self):
        assert bootstrap_interval([0.6, 0.8]) == pytest.approx((0.7, 0.6, 0.8))

    def test_is_the_same_each_time(self):
        assert bootstrap_interval(SCORES) == bootstrap_interval(SCORES)

    @pytest.mark.parametrize("values", [[0.5, np.inf], [[0.5, 0.6]]])
    def test_refuses_what_is_no_value_per_image(self, values):
        with pytest.raises(ShapeError):
            bootstrap_interval(values)

    def test_refuses_a_confidence_that_is_none(self):
        with pytest.raises(ShapeError, match=r"a confidence of 95"):
            bootstrap_interval([0.1, 0.2], confidence=95)


class TestGroups:
    """Images of one patient are drawn together."""

    @pytest.mark.parametrize("statistic", ["mean", "median"])
    def test_each_image_a_group_is_the_same_as_none(self, statistic):
        labels = [f"patient {number}" for number in range(len(SCORES))]
        grouped = bootstrap_interval(SCORES, groups=labels, statistic=statistic)
        assert grouped == pytest.approx(bootstrap_interval(SCORES, statistic=statistic), abs=1e-12)

    @pytest.mark.parametrize("statistic", ["mean", "median"])
    def test_copies_of_an_image_make_nobody_surer(self, statistic):
        labels = np.repeat(np.arange(len(SCORES)), 5).tolist()
        grouped = bootstrap_interval(np.repeat(SCORES, 5), groups=labels, statistic=statistic)
        assert grouped == pytest.approx(bootstrap_interval(SCORES, statistic=statistic), abs=1e-9)

    def test_of_different_size_are_weighted_by_their_images(self):
        found = bootstrap_interval([0.2, 0.4, 0.9], groups=["a", "a", "b"])
        assert found == pytest.approx((0.5, 0.3, 0.9))

    def test_one_group_has_no_interval(self):
        assert bootstrap_interval(SCORES, groups=["a"] * 40)[1:] == pytest.approx(
            (np.nan, np.nan), nan_ok=True
        )

    def test_a_group_of_absent_images_is_none(self):
        found = bootstrap_interval([0.2, 0.4, np.nan], groups=["a", "b", "c"])
        assert found == bootstrap_interval([0.2, 0.4])

    def test_refuses_too_few_labels(self):
        with pytest.raises(ShapeError, match="2 groups for 3 images"):
            bootstrap_interval([0.1, 0.2, 0.3], groups=["a", "b"])


class TestPooled:
    """Scores of all images together."""

    CONFUSIONS = np.random.default_rng(4).integers(0, 50, (30, 3, 3))

    def test_large_tables_take_memory_in_portions(self):
        counts = np.random.default_rng(5).integers(0, 9, (6, 250, 250))
        tracemalloc.start()
        found = bootstrap_pooled(counts, lambda each: float(each[0].mean()), resamples=400)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.low < found.value < found.high
        assert most < 150e6  # of all resamples at once the sums alone take 400 x 62,500 x 8 = 200e6

    @staticmethod
    def of_class_1(confusion):
        return float(dice(confusion)[1])

    def test_value_is_the_score_of_the_sum(self):
        found = bootstrap_pooled(self.CONFUSIONS, self.of_class_1)
        assert found.value == self.of_class_1(self.CONFUSIONS.sum(axis=0))
        assert found.low < found.value < found.high

    def test_of_sums_and_numbers_is_the_interval_of_the_mean(self):
        pairs = np.stack([SCORES, np.ones(40)], axis=1)
        found = bootstrap_pooled(pairs, lambda sums: sums[0] / sums[1])
        assert found == pytest.approx(bootstrap_interval(SCORES), abs=1e-9)

    def test_equals_scipy_on_images_that_are_drawn_one_by_one(self):
        def score(chosen):
            return self.of_class_1(self.CONFUSIONS[chosen].sum(axis=0))

        expected = bootstrap(
            (np.arange(30),), score, vectorized=False, n_resamples=2000,
            confidence_level=expanded_level(0.95, 30), random_state=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        found = bootstrap_pooled(self.CONFUSIONS, self.of_class_1)
        assert found[1:] == pytest.approx(tuple(expected), abs=1e-9)

    def test_groups_are_summed_first(self):
        labels = np.arange(30) // 3
        summed = self.CONFUSIONS.reshape(10, 3, 3, 3).sum(axis=1)
        found = bootstrap_pooled(self.CONFUSIONS, self.of_class_1, groups=labels.tolist())
        assert found == bootstrap_pooled(summed, self.of_class_1)

    def test_draws_without_the_class_do_not_take_the_interval_away(self):
        rare = np.zeros((4, 2, 2), int)
        rare[:, 0, 0], rare[0, 1] = 9, (1, 3)
        found = bootstrap_pooled(rare, self.of_class_1)
        assert found == pytest.approx((2 * 3 / 7, 2 * 3 / 7, 2 * 3 / 7))

    def test_a_class_that_is_nowhere_has_neither_score_nor_interval(self):
        assert np.isnan(bootstrap_pooled(np.zeros((5, 2, 2), int), self.of_class_1)).all()

    def test_of_no_images_there_is_none(self):
        assert np.isnan(bootstrap_pooled(np.zeros((0, 2, 2), int), self.of_class_1)).all()


class TestPairedDifference:
    """Is one run better than another, or is it noise?"""

    def test_p_equals_the_enumeration_of_all_sign_flips(self):
        rng = np.random.default_rng(5)
        for _ in range(200):
            count = int(rng.integers(2, 9))
            a = rng.random(count).round(rng.choice([1, 6]))
            b = (a + rng.normal(rng.choice([0, 0.2]), 0.2, count)).round(rng.choice([1, 6]))
            found = paired_difference(a, b, resamples=2)
            assert found.p_value == pytest.approx(all_flips(b - a), abs=1e-12)

    def test_p_of_groups_equals_the_enumeration_of_flips_of_whole_groups(self):
        rng = np.random.default_rng(6)
        for _ in range(50):
            a, b, labels = rng.random(12), rng.random(12), rng.integers(0, 6, 12)
            sums = [(b - a)[labels == label].sum() for label in set(labels.tolist())]
            assert paired_difference(a, b, groups=labels.tolist()).p_value == pytest.approx(all_flips(sums))

    def test_p_of_many_images_is_that_of_scipy_and_near_that_of_the_t_test(self):
        rng = np.random.default_rng(7)
        a = rng.normal(0.8, 0.05, 40)
        b = a + rng.normal(0.006, 0.02, 40)
        found = paired_difference(a, b).p_value
        expected = permutation_test(
            (b, a), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
            vectorized=True, n_resamples=9999, random_state=1,
        ).pvalue  # fmt: skip
        assert found == pytest.approx(expected, rel=0.2)
        assert found == pytest.approx(ttest_1samp(b - a, 0).pvalue, rel=0.25)

    def test_p_is_uniform_where_the_runs_are_alike(self):
        rng = np.random.default_rng(8)
        p_values = np.array([paired_difference(*rng.beta(8, 2, (2, 10))).p_value for _ in range(400)])
        for level in (0.05, 0.2, 0.5):
            assert (p_values <= level).mean() == pytest.approx(
                level, abs=4 * np.sqrt(level * (1 - level) / 400)
            )

    def test_says_how_much_larger_b_is_and_on_how_many_images(self):
        found = paired_difference([0.5, 0.6, 0.7, np.nan, 0.2], [0.6, 0.5, 0.7, 0.9, 0.6])
        assert found.difference.value == pytest.approx(0.1)
        assert (found.images, found.a_larger, found.b_larger, found.alike) == (4, 1, 2, 1)

    def test_interval_is_that_of_the_differences(self):
        other = SCORES[::-1]
        assert paired_difference(SCORES, other).difference == bootstrap_interval(other - SCORES)

    def test_exchanging_the_runs_exchanges_everything(self):
        one, two = paired_difference(SCORES[:9], SCORES[9:18]), paired_difference(SCORES[9:18], SCORES[:9])
        assert one.difference.value == pytest.approx(-two.difference.value)
        assert (one.p_value, one.a_larger) == (two.p_value, two.b_larger)

    def test_the_same_run_twice_is_no_difference(self):
        found = paired_difference(SCORES, SCORES)
        assert found.difference == (0, 0, 0)
        assert (found.p_value, found.alike, found.detectable) == (1, 40, 0)

    def test_the_detectable_difference_is_found_in_four_of_five_cases(self):
        noise = np.random.default_rng(9).normal(0, 0.1, (1000, 12))
        size = np.mean(
            [paired_difference(each, np.zeros(12), resamples=2).detectable for each in noise[:100]]
        )
        assert (ttest_1samp(noise + size, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.05)

    def test_the_detectable_difference_follows_from_the_spread(self):
        found = paired_difference(np.zeros(4), [0.1, 0.2, 0.3, 0.4])
        error = np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2
        assert found.detectable == pytest.approx((t.ppf(0.975, 3) + t.ppf(0.8, 3)) * error)

    @pytest.mark.parametrize("count", [0, 1])
    def test_of_one_image_nothing_can_be_told(self, count):
        found = paired_difference([0.5] * count, [0.6] * count)
        assert np.isnan([found.p_value, found.difference.low, found.detectable]).all()

    @pytest.mark.parametrize(("a", "b"), [([0.5], [0.5, 0.6]), ([np.inf, 1], [np.inf, 2])])
    def test_refuses_what_cannot_be_compared(self, a, b):
        with pytest.raises(ShapeError):
            paired_difference(a, b)


class TestHolm:
    """Several tests at once."""

    def test_equals_an_example_by_hand(self):
        # ranked 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, and never below the one before
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))

    def test_of_one_test_changes_nothing_and_knows_no_p_above_1(self):
        assert holm([0.04]) == (0.04,)
        assert holm([0.6, 0.7]) == (1.0, 1.0)

    def test_what_could_not_be_tested_does_not_count(self):
        assert holm([0.02, np.nan, 0.5]) == pytest.approx((0.04, np.nan, 0.5), nan_ok=True)
