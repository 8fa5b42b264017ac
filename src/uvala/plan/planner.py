"""From what the data are like, the time and the machine to a plan, with a reason for each choice."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from uvala.data.dataset import Dataset
from uvala.data.facts import Facts
from uvala.data.fingerprint import SECONDS, take_fingerprint
from uvala.data.patch_config import PatchConfig
from uvala.data.patches import steps_per_epoch
from uvala.data.sample import Sample
from uvala.data.target_config import TargetConfig
from uvala.data.targets import require_objects
from uvala.data.wording import count
from uvala.errors import BudgetError, ConfigError
from uvala.plan.budget import Clock, format_duration
from uvala.plan.choices import Choices
from uvala.plan.decisions.augmentation import choose_directions, choose_strength
from uvala.plan.decisions.candidates import candidate_of, expected_steps
from uvala.plan.decisions.data import choose_loss, choose_normalisation, choose_sampling, choose_targets
from uvala.plan.decisions.execution import choose_compile, choose_memory_format, choose_precision
from uvala.plan.decisions.learning import choose_average, choose_rate, choose_schedule, choose_validation
from uvala.plan.decisions.network import choose_network
from uvala.plan.decisions.patches import choose_batch, choose_patch
from uvala.plan.decisions.prediction import choose_test_time, seconds_per_pixel
from uvala.plan.machine import Machine, look_at_machine
from uvala.plan.prices import Prices
from uvala.plan.probe import Probe, measure_step
from uvala.plan.schema import Plan
from uvala.plan.situation import Situation
from uvala.plan.work import work_of
from uvala.tiling.tta import views_of

__all__ = ["fingerprint", "make_plan"]

_PROBE_SHARE = 0.05  # of a budget, at most, goes to measuring
_PROBE_SECONDS = 15.0  # and no more than this; a trial of torch.compile comes on top
_MOST_OF_THE_REST = 0.5  # of the time that is left when it begins, above which a step is too long
_HEAVY = (
    5e9  # multiply-adds forward: a tenth of a second, and with the way back three times that, on two cores
)
_STEPS_AT_LEAST = 10  # what to give time for instead
_MOST_FOR_PREDICTIONS = 0.35  # of what is left: what a training keeps for them and the report, at most
_FEW_SECONDS = 5.0  # more than that, by which a training may outlast its budget
_AGAIN = 1.1  # times what was measured: it is not the same the next time
_LOOK_SHARE = 0.02  # of a budget, at most, goes to looking at pairs of image and mask


def make_plan(
    dataset: Dataset,
    training: Sequence[Sample],
    *,
    settings: Mapping[str, Any],
    clock: Clock,
    device: torch.device,
    facts: Facts | None = None,
    pixels_after: int = 0,
    ranks: int = 1,
    given: bool = False,
    machine: Machine | None = None,
    probe: Probe | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Plan, dict[str, str]]:
    """A plan for `training`, and the reason of each choice by dotted path.

    settings: what the user wants, by dotted path; checked like every plan (ConfigError). clock: how much time
    is left; without a budget nothing is measured, so the plan is the same on every run. facts: the
    fingerprint of the images, taken here if it is not given. pixels_after: of the images to be predicted
    after the training. ranks: processes that share a batch. given: whether the training begins with weights
    of another one. machine, probe: in place of this machine and of measuring on it. tell: called with each
    line of evidence.
    """
    choices = Choices(settings)
    _check_counts(choices.base, dataset)
    if facts is None:
        facts = fingerprint(dataset, training, clock.budget)
    machine = machine or look_at_machine(device, at_once=clock.budget is not None)
    case = Situation(
        facts=facts,
        names=dataset.encoding.names,
        numbered=dataset.encoding.kind == "instances",
        sizes=[dataset.sizes[sample.name] for sample in training],
        pixels_after=pixels_after,
        machine=machine,
        budget=clock.budget,
        seconds=None if clock.budget is None else clock.remaining,
        ranks=ranks,
        given=given,
    )
    prices = _prices(case, probe or _measure_on(device, choices))
    _decide(choices, case, prices, dataset)
    plan = choices.plan()
    if prices is not None and plan.length.steps is None and plan.length.epochs is None:
        _require_steps(choices, case, prices, clock)
        _require_predictions(plan, seconds_per_pixel(choices, case, prices), facts, clock)
    for line in prices.evidence if prices else ():
        tell(line)
    return plan, choices.reasons


def fingerprint(dataset: Dataset, training: Sequence[Sample], budget: float | None) -> Facts:
    """The facts that a plan is made from; as many looks as the budget has time for, or a fixed number."""
    seconds = math.inf if budget is None else min(SECONDS, _LOOK_SHARE * budget)
    return take_fingerprint(dataset, training, seconds=seconds)


def _decide(choices: Choices, case: Situation, prices: Prices | None, dataset: Dataset) -> None:
    """One decision after the other; later ones build on earlier ones."""
    choose_normalisation(choices, case)
    choose_targets(choices, case)
    require_objects(case.classes, TargetConfig(objects=choices["targets.objects"]))
    choose_patch(choices, case)
    choose_batch(choices, case)
    choose_sampling(choices, case)
    choose_memory_format(choices, case, prices)
    choose_precision(choices, case, prices)
    choose_network(choices, case, prices)
    choose_compile(choices, case, prices)
    steps = _steps(choices, case, prices)
    choose_loss(choices, case)
    choose_directions(choices, case)
    choose_strength(choices, case, steps)
    choose_rate(choices, case, candidate_of(choices, case))
    choose_schedule(choices, steps)
    choose_average(choices, steps)
    choose_validation(choices, case)
    choose_test_time(choices, case, prices)


def _prices(case: Situation, probe: Probe) -> Prices | None:
    """What steps cost; None without a budget, when there is nothing to decide by them."""
    if case.budget is None:
        return None
    return Prices(probe, case.machine, min(_PROBE_SECONDS, _PROBE_SHARE * case.budget))


def _measure_on(device: torch.device, choices: Choices) -> Probe:
    base = choices.base
    return lambda candidate, seconds: measure_step(
        candidate,
        seconds,
        device,
        augment=base.augment,
        loss=base.loss,
        targets=TargetConfig(objects=choices["targets.objects"]),  # decided by then
    )


def _steps(choices: Choices, case: Situation, prices: Prices | None) -> float | None:
    """How many steps the training will have, about."""
    if choices["length.steps"] is not None:
        return float(choices["length.steps"])
    if choices["length.epochs"] is not None:
        patches = PatchConfig(size=choices["patches.size"], batch=choices["patches.batch"])
        return max(1.0, choices["length.epochs"] * steps_per_epoch(case.sizes, patches))
    if prices is None:
        return None
    return max(1.0, expected_steps(candidate_of(choices, case), case, prices))


def _require_steps(choices: Choices, case: Situation, prices: Prices, clock: Clock) -> None:
    """BudgetError where a step takes so long that hardly any is done before the time is up."""
    candidate = candidate_of(choices, case)
    if candidate.batch * work_of(candidate).multiply_adds < _HEAVY:
        return  # so little work takes long only while something else holds the machine
    seconds = prices.seconds(candidate)
    if seconds <= clock.remaining * _MOST_OF_THE_REST or not math.isfinite(seconds):
        return
    patches = f"{count(candidate.batch, 'patch', 'patches')} of {candidate.patch} pixels"
    raise _too_short(
        clock,
        choices["folds"],
        _STEPS_AT_LEAST * seconds,
        found=f"of {candidate.name} with {patches}, a step takes {format_duration(seconds)} on this machine",
        expected=f"time for {_STEPS_AT_LEAST} steps or more",
        fix="a smaller network, smaller patches or fewer of them",
    )


def _require_predictions(plan: Plan, pace: float, facts: Facts, clock: Clock) -> None:
    """BudgetError where too little time is left beside predictions, which cannot be cut off.

    One image at least is validated after the last step, one tuned on and one scored, the latter two in every
    view. pace: seconds for each pixel of a view.
    """
    looks = 1 + 2 * len(views_of(plan.test_time))
    seconds = looks * math.prod(facts.median) * pace
    most = _MOST_FOR_PREDICTIONS * clock.remaining + _FEW_SECONDS
    if seconds <= most or not math.isfinite(seconds):
        return
    raise _too_short(
        clock,
        plan.folds,
        _AGAIN * max(seconds / _MOST_FOR_PREDICTIONS, clock.elapsed),
        found=f"to predict an image of {facts.median} pixels {looks} times takes about "
        f"{format_duration(seconds)}, and no result takes less",
        expected="that within a third of the time, and the rest to train in",
        fix="a smaller network, or images cut into pieces",
    )


def _too_short(
    clock: Clock, folds: int, seconds: float, *, found: str, expected: str, fix: str
) -> BudgetError:
    """The error for a time of which each fold needs so many seconds more from now on."""
    budget, left = (format_duration(max(0.0, each)) for each in (clock.budget or 0.0, clock.remaining))
    each = f" for each of {folds} folds" if folds > 1 else ""
    return BudgetError(
        found=f"a budget of {budget}{each}, of which {left} are left; {found}",
        expected=expected,
        fix=f"give {format_duration(clock.elapsed + folds * seconds)} or more, "
        f"{'fewer folds, ' if folds > 1 else ''}or {fix}",
    )


def _check_counts(plan: Plan, dataset: Dataset) -> None:
    """ConfigError where settings have other numbers of classes or channels than the data."""
    given = {
        "loss.class_weights": (plan.loss.class_weights, dataset.encoding.num_classes, "classes"),
        "normalisation.low": (plan.normalisation.low, dataset.channels, "channels"),
        "normalisation.high": (plan.normalisation.high, dataset.channels, "channels"),
    }
    for path, (values, wanted, what) in given.items():
        if values and len(values) != wanted:
            raise ConfigError(
                found=f"{len(values)} numbers in {path}",
                expected=f"{wanted}, as many as there are {what}",
                fix="give each a number, or leave the setting out",
            )
    beyond = [index for index in plan.loss.cldice_classes if index >= dataset.encoding.num_classes]
    if beyond:
        raise ConfigError(
            found=f"class {beyond[0]} in loss.cldice_classes",
            expected=f"numbers below {dataset.encoding.num_classes}, the number of classes",
            fix="name the thin classes by their numbers, counted from 0",
        )
