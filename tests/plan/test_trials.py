"""Short trials change a plan only for what is clearly better."""

import math

import pytest

from uvala.config import override
from uvala.plan.schema import Plan
from uvala.plan.trials import run_trials, trial_seconds, trials_to_come

PLAN = override(Plan(), {"length.budget": 3600.0, "optimiser.learning_rate": 3e-3}, where="a test")


def trial(score, wanted=(), seconds=180.0, plan=PLAN, **options):
    """The plan after trials that `score` judges, its new reasons, and the plans that were tried."""
    tried = []

    def try_out(each, time):
        tried.append((each, time))
        return score(each)

    found, reasons = run_trials(
        plan, {"seed": "why"}, wanted=dict.fromkeys(wanted), seconds=seconds, try_out=try_out, **options
    )
    return found, reasons, tried


def best_rate(wanted):
    """A score that falls with the distance from a learning rate, by 0.1 for each factor of 10."""
    return lambda plan: 0.8 - 0.1 * abs(math.log10(plan.optimiser.learning_rate / wanted))


@pytest.mark.parametrize(("rate", "chosen"), [(1e-3, 1e-3), (3e-3, 3e-3), (9e-3, 9e-3)])
def test_the_best_learning_rate_is_taken(rate, chosen):
    plan, reasons, _ = trial(best_rate(rate))
    assert plan.optimiser.learning_rate == pytest.approx(chosen)
    assert ("optimiser.learning_rate" in reasons) == (chosen != 3e-3)


def test_a_little_better_is_not_better():
    assert trial(lambda plan: 0.8 + plan.optimiser.learning_rate)[0] == PLAN


def test_a_divergence_loses():
    plan, _, _ = trial(lambda plan: math.nan if plan.optimiser.learning_rate > 2e-3 else 0.3)
    assert plan.optimiser.learning_rate == pytest.approx(1e-3)


def test_all_trials_together_keep_to_their_time():
    _, _, tried = trial(best_rate(3e-3), seconds=100.0)
    assert sum(time for _, time in tried) == pytest.approx(100)
    assert tried[0][0] == PLAN


def test_what_the_user_set_is_not_tried_otherwise():
    _, _, tried = trial(best_rate(1e-3), wanted=("optimiser.learning_rate", "patches.size"))
    assert tried == []


def test_trials_too_short_to_tell_are_left_out():
    plan, reasons, tried = trial(best_rate(1e-3), seconds=30.0)
    assert (plan, reasons, tried) == (PLAN, {"seed": "why"}, [])


def test_later_questions_build_on_earlier_answers():
    def score(plan):
        return best_rate(1e-3)(plan) + (0.1 if plan.patches.size == 128 else 0)

    plan, reasons, _ = trial(score, seconds=360.0)
    assert (plan.optimiser.learning_rate, plan.patches.size) == (pytest.approx(1e-3), 128)
    assert "as planned" in reasons["patches.size"]


@pytest.mark.parametrize(("budget", "seconds"), [(None, 0), (600, 0), (3599, 0), (3600, 180), (10**6, 1800)])
def test_trials_pay_in_longer_trainings_only(budget, seconds):
    assert trial_seconds(budget) == seconds


@pytest.mark.parametrize(
    ("settings", "wanted", "words"),
    [
        ({}, (), "values of optimiser.learning_rate, for 3 min 00 s in all"),
        ({"length.budget": 7200.0}, (), "optimiser.learning_rate and patches.size, for 6 min 00 s"),
        ({"length.budget": 7200.0}, ("optimiser.learning_rate",), "values of patches.size"),
    ],
    ids=["an hour", "two hours", "a wish"],
)
def test_what_will_be_tried_is_told_before(settings, wanted, words):
    plan = override(PLAN, settings, where="a test")
    assert words in trials_to_come(plan, dict.fromkeys(wanted))


@pytest.mark.parametrize("settings", [{"length.budget": 600.0}, {"folds": 5}], ids=str)
def test_nothing_is_told_where_nothing_will_be_tried(settings):
    assert trials_to_come(override(PLAN, settings, where="a test"), {}) == ""


def test_each_trial_is_told():
    lines = []
    trial(best_rate(1e-3), tell=lines.append)
    assert "as planned: score 0.75" in lines[0]
    assert "learning_rate 0.001: score 0.8000" in lines[1]
