"""Short trainings that decide, of a long budget, what rules cannot."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvala.api.preparing import Prepared, write_down
from uvala.config import override
from uvala.errors import DataError
from uvala.log import Event, EventLog, Listener
from uvala.plan.budget import Clock
from uvala.plan.schema import Plan, plan_values
from uvala.plan.trials import run_trials, trial_seconds
from uvala.runs.folder import RunFolder
from uvala.training.job import Job
from uvala.training.loop import Training

__all__ = ["after_trials", "trial_score"]


def after_trials(
    prepared: Prepared, wanted: Mapping[str, Any], out: Path, listener: Listener | None, started: float
) -> Prepared:
    """The same with what short trials found clearly better; without a budget that is long enough, as it is.

    wanted: settings that somebody asked for and that are not tried otherwise. out: a folder in which the
    trials have a place for a while.
    """
    plan = prepared.plan
    seconds = trial_seconds(plan.length.budget) if plan.folds == 1 else 0.0
    if not seconds:
        return prepared
    events: list[Event] = list(prepared.events)
    say = EventLog(None, events.append, *([listener] if listener else []), started=started)

    def try_out(plan: Plan, seconds: float) -> float:
        with tempfile.TemporaryDirectory(prefix=".trial-", dir=out) as scratch:
            return trial_score(replace(prepared, plan=plan, events=()), RunFolder(Path(scratch)), seconds)

    found, reasons = run_trials(
        plan,
        prepared.reasons,
        wanted=wanted,
        seconds=seconds,
        try_out=try_out,
        tell=lambda line: say("probe", text=line),
    )
    values, before = plan_values(found), plan_values(plan)
    for path, value in values.items():
        if value != before[path]:
            say("plan", path=path, value=value, reason=reasons[path])
    return replace(prepared, plan=found, reasons=reasons, events=tuple(events))


def trial_score(prepared: Prepared, run: RunFolder, seconds: float) -> float:
    """Best validation score of a training of so many seconds; NaN if it went wrong for good."""
    plan = override(prepared.plan, {"length.budget": seconds}, where="a trial")
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
    )
    training = Training(job)
    try:
        training.run(lambda: False)
    except DataError:  # the watchdog gave up
        return math.nan
    score = training.progress.best_score
    return math.nan if score is None else score
