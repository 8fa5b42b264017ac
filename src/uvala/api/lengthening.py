"""Another length for a training that has begun: how much time is left, and where its schedule goes on."""

import math
from collections.abc import Mapping
from typing import Any

from uvala.config import override
from uvala.errors import BudgetError, ConfigError
from uvala.log import EventLog, read_events
from uvala.plan.budget import format_duration, parse_duration
from uvala.plan.decisions.learning import ROUNDS_REASON, rounds_for
from uvala.plan.schema import Plan, plan_values, write_plan
from uvala.runs.folder import RunFolder
from uvala.training.job import steps_of
from uvala.training.progress import Progress

__all__ = ["lengthen", "lengthened", "reasons_of", "refuse_less_than_done", "time_on_top"]

_ROUNDS = "validation.rounds"
_AS_FRESH = "as many as a fresh training of the new length would have"


def time_on_top(budget: str | float | None) -> tuple[float | None, str | float | None]:
    """Seconds on top of what is used, of "+10m", or the budget as it is; BudgetError for no duration."""
    if isinstance(budget, str) and budget.strip().startswith("+"):
        return parse_duration(budget.strip().removeprefix("+")), None
    return None, budget


def lengthened(plan: Plan, length: Mapping[str, Any], budget: float | None, used: float) -> Plan:
    """The plan with another length; ConfigError if it asks for two, BudgetError for one that is used up."""
    if budget is not None and length:
        raise ConfigError(
            found=f"more time together with {' and '.join(sorted(length))}",
            expected="one new length",
            fix="leave the others out",
        )
    if budget is not None:
        length = {"length.budget": budget}
    if not length:
        return plan
    none = dict.fromkeys(("length.budget", "length.steps", "length.epochs"))
    changed = override(plan, {**none, **length}, where="the length")
    total = changed.length.budget
    if total is not None and total <= used:
        raise BudgetError(
            found=f"a budget of {format_duration(total)}, of which {format_duration(used)} are used",
            expected="more than that: a budget is the time of the whole training",
            fix="say how much more with a sign, such as --budget +10m",
        )
    return changed


def refuse_less_than_done(before: Plan, plan: Plan, progress: Progress, per_epoch: int) -> None:
    """ConfigError if a new plan asks for no more steps, or epochs, than are done.

    per_epoch: steps of an epoch.
    """
    steps = steps_of(plan.length, per_epoch)
    if plan == before or steps is None or steps > progress.step:
        return
    if plan.length.epochs is None:
        raise ConfigError(
            found=f"length.steps = {steps}, with {progress.step} steps done",
            expected="more than that: it is the number of steps of the whole training",
            fix=f"set length.steps to {progress.step + 1} or more",
        )
    done = progress.step / per_epoch
    raise ConfigError(
        found=f"length.epochs = {plan.length.epochs:g}, with {done:.3g} epochs done",
        expected="more than that: it is the number of epochs of the whole training",
        fix=f"set length.epochs to {math.floor(done) + 1} or more",
    )


def reasons_of(run: RunFolder) -> dict[str, str]:
    """The reasons of a run's plan, by dotted path."""
    return {e["path"]: e["reason"] for e in read_events(run.log_path) if e["event"] == "plan"}


def lengthen(run: RunFolder, plan: Plan, progress: Progress, used: float, log: EventLog) -> RunFolder:
    """Write down that the training has another length, and where on its schedule it goes on.

    Under a budget it goes on where a training of the new length would be by now: the learning rate of a
    finished one rises again, from 0 to the rate of that share, and falls to the end once more (a warm
    restart, as in Loshchilov and Hutter 2017, arXiv:1608.03983). The best weights stay the ones to beat. It
    is validated as often as a fresh training of that length, unless somebody has said how often.
    """
    budget = plan.length.budget
    if budget is None:
        rejoined = None
        where, text = "", "lengthened: the schedule is that of the new number of steps"
    else:
        share = used / budget
        rejoined = (progress.step, share)
        where = f" after {format_duration(used)}, with the schedule at {share:.0%}"
        text = f"{format_duration(budget - used)} to go of {format_duration(budget)}: the schedule goes on "
        text += f"at {share:.0%}, where a training of that length would be by now"
    # before the plan: a card that still said "finished" beside the new plan could not be gone on with
    card = run.card
    training = card.training.model_copy(update={"rejoined": rejoined, "finished": False})
    run.write_card(card.model_copy(update={"training": training}))
    log("note", text=text)
    reasons = reasons_of(run)
    path = next(name for name, value in plan.length.model_dump().items() if value is not None)
    changes = {f"length.{path}": f"lengthened by you{where}"}
    if reasons.get(_ROUNDS) in (None, ROUNDS_REASON, _AS_FRESH):
        plan = override(plan, {_ROUNDS: rounds_for(budget)}, where="the length")
        changes[_ROUNDS] = _AS_FRESH
    for path, reason in changes.items():
        log("plan", path=path, value=plan_values(plan)[path], reason=reason)
    write_plan(run.plan_path, plan, {**reasons, **changes})
    return RunFolder(run.path)
