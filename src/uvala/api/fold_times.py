"""How the folds of a run share its time: from the beginning, and when there is more of it."""

import math
import time
from collections.abc import Iterable

from uvala.api.finishing import page_seconds, tuning_seconds
from uvala.api.lengthening import lengthen, lengthened, reasons_of
from uvala.api.preparing import Prepared
from uvala.api.resuming import used_by
from uvala.api.tuning import MOST_IMAGES
from uvala.data.dataset import Dataset
from uvala.data.splits import Split
from uvala.errors import BudgetError, ConfigError
from uvala.log import EventLog
from uvala.plan.budget import LEAST, Clock, format_duration
from uvala.plan.schema import Plan, write_plan
from uvala.runs.folder import RunFolder
from uvala.tiling.tta import views_of
from uvala.training.checkpoint import read_progress

__all__ = [
    "folds_of",
    "has_begun",
    "is_finished",
    "left_of_begun",
    "lengthen_folds",
    "require_time",
    "seconds_for_fresh",
    "used_by_folds",
]

_AFTER_SECONDS, _PAGES = 1.0, 2.5  # loading all networks again, and drawing two pages
_SECONDS_PER_PIXEL = 2e-6  # of a prediction, until a fold has measured it
_MOST_RESERVED = 0.25  # share of a budget for what follows the last fold


def require_time(clock: Clock, folds: int, prepared: Prepared | None = None) -> None:
    """BudgetError where too little is left for each of several folds, besides what the end will take.

    prepared: from what the end is known; None: not yet.
    """
    if clock.budget is None or folds == 1:
        return
    end = 0.0 if prepared is None else _reserve(prepared.plan, prepared.split, prepared.dataset, clock)
    if clock.remaining - end >= folds * LEAST:
        return
    least = math.ceil((clock.elapsed + folds * LEAST) / (1 - _MOST_RESERVED))
    raise BudgetError(
        found=f"a budget of {format_duration(clock.budget)} for {folds} folds",
        expected=f"at least {LEAST:.0f} s for each, and time to score them together",
        fix=f"choose fewer folds, or --budget {least}s or more",
    )


def folds_of(run: RunFolder) -> list[RunFolder]:
    """The folders of all folds, in order, those that have not begun included."""
    return [RunFolder(run.path / name) for name in run.card.members]


def has_begun(fold: RunFolder) -> bool:
    """Whether a fold has all that its training begins from: the card comes last."""
    return (fold.path / "card.json").is_file()


def is_finished(fold: RunFolder) -> bool:
    """Whether a fold's training has reached its end."""
    return has_begun(fold) and fold.card.training.finished


def used_by_folds(run: RunFolder) -> float:
    """Seconds that a run of folds has used so far: those of its folds, or all up to its report."""
    folds = [fold for fold in folds_of(run) if has_begun(fold)]
    used = sum((used_by(fold, read_progress(fold)) for fold in folds), 0.0)
    return max(used, run.card.training.seconds)


def seconds_for_fresh(
    run: RunFolder, dataset: Dataset, clock: Clock, *, promised: float = 0.0
) -> float | None:
    """Seconds for each fold that has not begun; None without a budget. promised: of others, not yet used.

    At the cost of the end it is what a training needs at the least, where there is that much.
    """
    if clock.budget is None:
        return None
    fresh = [fold for fold in folds_of(run) if not has_begun(fold)]
    left = clock.remaining - promised
    share = (left - _reserve_of(run, dataset, clock)) / max(1, len(fresh))
    return max(0.0, min(max(LEAST, share), left))


def lengthen_folds(
    run: RunFolder, dataset: Dataset, plan: Plan, before: Clock, clock: Clock, log: EventLog
) -> RunFolder:
    """Write down, in the run and in each fold, that they last longer; whatever resumes them goes by that.

    plan: of the run, with the longer budget. before, clock: the time of the run by its old and its new plan.
    Each fold gets the same on top of what it had left, after what the end will take. BudgetError if that is
    too little, ConfigError for folds that still have steps to go, whose time nobody knows.
    """
    left = _left(run, dataset, before)
    spare = clock.remaining - _reserve_of(run, dataset, clock) - sum(left)
    on_top = spare / len(left)
    if on_top < LEAST:
        assert clock.budget is not None, "folds are lengthened by time"
        least = math.ceil(clock.budget - spare + LEAST * len(left))
        going_on = f"go on without more time: uvala train --resume {run.path}, or " if any(left) else ""
        raise BudgetError(
            found=f"{format_duration(clock.remaining)} for {len(left)} folds, which have "
            f"{format_duration(sum(left))} left as planned",
            expected=f"at least {LEAST:.0f} s more for each, and time to score them together",
            fix=f"{going_on}--budget {least}s or more",
        )
    # before all else: a card that still said "finished" beside longer folds could not be gone on with
    card = run.card
    training = card.training.model_copy(update={"finished": False})
    run.write_card(card.model_copy(update={"training": training}))
    log("note", text=f"{format_duration(on_top)} more for each of the {len(left)} folds")
    for fold, seconds in zip(folds_of(run), left, strict=True):
        if has_begun(fold):
            progress = read_progress(fold)
            used = used_by(fold, progress)
            longer = lengthened(fold.plan, {}, round(used + seconds + on_top, 1), used)
            own = EventLog(fold.log_path, started=time.monotonic() - used)
            lengthen(fold, longer, progress, used, own)
    reason = "lengthened by you"
    log("plan", path="length.budget", value=plan.length.budget, reason=reason)
    write_plan(run.plan_path, plan, {**reasons_of(run), "length.budget": reason})
    return RunFolder(run.path)


def _left(run: RunFolder, dataset: Dataset, clock: Clock) -> list[float]:
    """Seconds that each fold has left by its plan, or will get when it begins; ConfigError if by steps."""
    folds = folds_of(run)
    unfinished = [fold for fold in folds if not is_finished(fold)]
    by_steps = [fold for fold in unfinished if (fold if has_begun(fold) else run).plan.length.budget is None]
    if by_steps:
        raise ConfigError(
            found=f"more time for folds of which {len(by_steps)} still have steps to go",
            expected="folds that have done their steps",
            fix=f"first go on with them: uvala train --resume {run.path}",
        )
    left = {fold.path: left_of_begun(fold) for fold in unfinished if has_begun(fold)}
    fresh = seconds_for_fresh(run, dataset, clock, promised=sum(left.values())) or 0.0
    return [left.get(fold.path, fresh if fold in unfinished else 0.0) for fold in folds]


def left_of_begun(fold: RunFolder) -> float:
    """Seconds that a fold which has begun has left by its plan; 0 without a budget."""
    budget = fold.plan.length.budget
    return 0.0 if budget is None else max(0.0, budget - used_by(fold, read_progress(fold)))


def _reserve_of(run: RunFolder, dataset: Dataset, clock: Clock) -> float:
    """Seconds to keep for what follows the last fold, at the pace of those that have begun."""
    measured = [read_progress(fold).seconds_per_pixel for fold in folds_of(run) if has_begun(fold)]
    pace = max([each for each in measured if each] or [_SECONDS_PER_PIXEL])
    return _reserve(run.plan, run.split, dataset, clock, pace)


def _reserve(
    plan: Plan, split: Split, dataset: Dataset, clock: Clock, pace: float = _SECONDS_PER_PIXEL
) -> float:
    """Seconds to keep for what follows the last fold: each image by one network, the test images by all."""
    # a validation looks at one view of an image, what follows at all that the plan names
    pace *= len(views_of(plan.test_time))
    trained = [*split.train, *split.val]
    once, test = _pixels(dataset, trained), _pixels(dataset, split.test)
    deciding = min(1.0, MOST_IMAGES / max(1, len(trained)))  # share that is predicted once before
    seconds = (
        _AFTER_SECONDS
        + _PAGES * page_seconds()
        + tuning_seconds(clock)
        + pace * ((1 + deciding) * once + plan.folds * test)
    )
    return min(seconds, _MOST_RESERVED * (clock.budget or 0.0))


def _pixels(dataset: Dataset, names: Iterable[str]) -> int:
    return sum(math.prod(dataset.sizes[name]) for name in names)
