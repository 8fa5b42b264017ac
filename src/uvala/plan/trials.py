"""Short trials of what rules cannot decide, where there is time for them and they can tell.

A trial is a training of its own, from the first weights through the whole schedule, in a small share of the
budget. What is good in a hundredth of the time is not always best in all of it, so a plan is changed only for
what is clearly better.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from uvala.config import override
from uvala.plan.budget import format_duration
from uvala.plan.schema import Plan

__all__ = ["Trial", "TryOut", "run_trials", "trial_seconds", "trials_to_come"]

TryOut = Callable[[Plan, float], float]
"""(plan, seconds) -> validation score of a training by that plan in those seconds; higher is better.

Not a number, or minus infinity, where it diverged."""

# Seconds. Below, trials are too short to tell what is best in the end, and steps are worth more than they.
_LEAST_BUDGET = 3600.0
_SHARE = 0.05  # of the budget, for all trials together
_MOST = 1800.0
_LEAST_TRIAL = 15.0
_CLEARLY = 0.02  # of the score: two trainings of the same plan differ by about 0.01 so early on
_PATCHES_BUDGET = 7200.0  # from which patches are tried, too
_FACTOR = 3.0  # between one learning rate and the next


@dataclass(frozen=True)
class Trial:
    """Settings that a trial has in place of the plan's, by dotted path; none: the plan as it is."""

    settings: Mapping[str, Any]

    @property
    def words(self) -> str:
        """What it tries."""
        named = ", ".join(f"{path.rpartition('.')[2]} {value}" for path, value in self.settings.items())
        return named or "as planned"


def trial_seconds(budget: float | None) -> float:
    """Seconds that all trials together may take; 0 where they do not pay."""
    if budget is None or budget < _LEAST_BUDGET:
        return 0.0
    return min(_MOST, _SHARE * budget)


def trials_to_come(plan: Plan, wanted: Mapping[str, Any]) -> str:
    """Which settings a training by this plan tries first, and for how long, in a sentence; "" for none."""
    seconds = trial_seconds(plan.length.budget) if plan.folds == 1 else 0.0
    rounds = _rounds(plan, wanted, seconds) if seconds else ()
    tried = dict.fromkeys(path for trials in rounds for trial in trials for path in trial.settings)
    if not tried:
        return ""
    return (
        f"`uvala train` with these options first tries other values of {' and '.join(tried)}, for "
        f"{format_duration(seconds)} in all, and takes what is clearly better"
    )


def run_trials(
    plan: Plan,
    reasons: Mapping[str, str],
    *,
    wanted: Mapping[str, Any],
    seconds: float,
    try_out: TryOut,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Plan, dict[str, str]]:
    """The plan with what short trials found clearly better, and the reasons with theirs.

    wanted: the user's settings by dotted path, which are not tried otherwise. seconds: of all trials
    together, as `trial_seconds` says; without any, nothing is tried. tell: called with a line for each trial.
    """
    told = dict(reasons)
    rounds = list(_rounds(plan, wanted, seconds))
    number = sum(len(trials) for trials in rounds) - max(0, len(rounds) - 1)  # the plan itself is tried once
    if not rounds or seconds / number < _LEAST_TRIAL:
        return plan, told
    each = seconds / number
    score = _tried(try_out, plan, each)
    tell(f"trial of {format_duration(each)}, {Trial({}).words}: score {score:.4f}")
    for trials in rounds:
        best, best_score = trials[0], score
        for trial in trials[1:]:
            found = _tried(try_out, override(plan, trial.settings, where="a trial"), each)
            tell(f"trial of {format_duration(each)}, {trial.words}: score {found:.4f}")
            if found > max(best_score, score + _CLEARLY):
                best, best_score = trial, found
        if best.settings:
            reason = f"score {best_score:.3f} in a trial of {format_duration(each)}, {score:.3f} as planned"
            told |= dict.fromkeys(best.settings, reason)
            plan, score = override(plan, best.settings, where="a trial"), best_score
    return plan, told


def _tried(try_out: TryOut, plan: Plan, seconds: float) -> float:
    score = try_out(plan, seconds)
    return score if math.isfinite(score) else -math.inf


def _rounds(plan: Plan, wanted: Mapping[str, Any], seconds: float) -> Iterator[list[Trial]]:
    """What is tried, one question after the other; the first of each round is the plan as it is."""
    if "optimiser.learning_rate" not in wanted:
        rate = plan.optimiser.learning_rate
        others = (rate / _FACTOR, min(10.0, rate * _FACTOR))
        yield [Trial({}), *(Trial({"optimiser.learning_rate": float(f"{other:.2g}")}) for other in others)]
    if "patches.size" not in wanted and seconds >= _SHARE * _PATCHES_BUDGET:
        smaller = plan.patches.size // 2
        if smaller >= 64:
            yield [Trial({}), Trial({"patches.size": smaller})]
