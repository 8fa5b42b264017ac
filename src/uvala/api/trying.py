"""Short trainings that decide, of a long budget, what rules cannot."""

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvala.api.preparing import Prepared, write_down
from uvala.config import override
from uvala.errors import DataError
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.plan.schema import Plan, plan_values, write_plan
from uvala.plan.trials import run_trials, trial_seconds
from uvala.runs.folder import RunFolder
from uvala.training.job import Job
from uvala.training.loop import Training
from uvala.training.stop import StopSignal

__all__ = ["improve_by_trials", "trial_score"]

_SECONDS = 60.0  # at most this much of the time used is not known after a power cut
# Of the time for validations in a trial each gets its part: with the rounds of the whole training it would be
# a second, in which a wide network sees one image.
_ROUNDS = 4


class _Stopped(Exception):
    """Somebody asked for a stop in a trial."""


def improve_by_trials(
    prepared: Prepared,
    wanted: Mapping[str, Any],
    run: RunFolder,
    log: EventLog,
    *,
    clock: Clock,
    stop: StopSignal,
) -> None:
    """Give a run that is written down the settings that short trials find clearly better.

    Nothing is tried without a budget that is long enough. wanted: settings that somebody asked for and that
    are not tried otherwise. clock: of the whole training. After a stop, and at the resume of a run that was
    cut off before the end of this, it is trained by its plan as it was.
    """
    plan = prepared.plan
    seconds = trial_seconds(plan.length.budget) if plan.folds == 1 else 0.0
    if not seconds:
        return

    images = 0  # that all trials are compared by: as many as the first has time for

    def try_out(plan: Plan, seconds: float) -> float:
        nonlocal images
        with tempfile.TemporaryDirectory(prefix=".trial-", suffix=".part", dir=run.path) as scratch:
            tried = replace(prepared, plan=plan, events=())
            score, images = trial_score(tried, RunFolder(Path(scratch)), seconds, asked, images)
            return score

    asked = _noting_time(run, clock, stop)
    try:
        found, reasons = run_trials(
            plan,
            prepared.reasons,
            wanted=wanted,
            seconds=seconds,
            try_out=try_out,
            tell=lambda line: log("probe", text=line),
        )
    except _Stopped:
        log("note", text="stopped in a trial: the plan stays as it was, and nothing else will be tried")
        return
    values, before = plan_values(found), plan_values(plan)
    for path, value in values.items():
        if value != before[path]:
            log("plan", path=path, value=value, reason=reasons[path])
    write_plan(run.plan_path, found, reasons)


def _noting_time(run: RunFolder, clock: Clock, stop: StopSignal) -> Callable[[], bool]:
    """Whether a stop is asked for. Asked at each step, it also keeps the time used in the card.

    There is no checkpoint yet from which a resume could know it.
    """
    kept = -math.inf

    def asked() -> bool:
        nonlocal kept
        if clock.elapsed - kept > _SECONDS:
            kept = clock.elapsed
            card = run.card
            training = card.training.model_copy(update={"seconds": round(kept, 2)})
            run.write_card(card.model_copy(update={"training": training}))
        return stop.asked

    return asked


def trial_score(
    prepared: Prepared, run: RunFolder, seconds: float, asked: Callable[[], bool], images: int = 0
) -> tuple[float, int]:
    """Best validation score of a training of so many seconds, and of how many images.

    NaN if it went wrong for good. asked: whether a stop is asked for; it ends in `_Stopped`. images: how many
    shall be validated; 0: as many as there is time for.
    """
    shorter = {"length.budget": seconds, "validation.rounds": _ROUNDS}
    plan = override(prepared.plan, shorter, where="a trial")
    write_down(replace(prepared, plan=plan), run, None, 0.0)
    parts, dataset = prepared.split, prepared.dataset
    job = Job(
        run=run,
        dataset=dataset,
        training=dataset.subset(parts.train),
        validation=dataset.subset(parts.val),
        plan=plan,
        network=prepared.network,
        device=prepared.device,
        clock=Clock(seconds),
        log=EventLog(None),
        start=prepared.start,
        validated=images,
    )
    training = Training(job)
    try:
        ended = training.run(asked)
    except DataError:  # the watchdog gave up
        return math.nan, training.progress.validated
    if not ended:
        raise _Stopped
    score = training.progress.best_score
    return math.nan if score is None else score, training.progress.validated
