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
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.plan.schema import Plan, plan_values, write_plan
from uvala.plan.trials import run_trials, trial_seconds
from uvala.runs.folder import RunFolder
from uvala.training.job import Job
from uvala.training.loop import Training

__all__ = ["improve_by_trials", "trial_score"]


def improve_by_trials(prepared: Prepared, wanted: Mapping[str, Any], run: RunFolder, log: EventLog) -> None:
    """Give a run that is written down the settings that short trials find clearly better.

    Nothing is tried without a budget that is long enough. wanted: settings that somebody asked for and that
    are not tried otherwise. A resume of a run that was cut off before the end of this trains by its plan.
    """
    plan = prepared.plan
    seconds = trial_seconds(plan.length.budget) if plan.folds == 1 else 0.0
    if not seconds:
        return

    def try_out(plan: Plan, seconds: float) -> float:
        with tempfile.TemporaryDirectory(prefix=".trial-", suffix=".part", dir=run.path) as scratch:
            return trial_score(replace(prepared, plan=plan, events=()), RunFolder(Path(scratch)), seconds)

    found, reasons = run_trials(
        plan,
        prepared.reasons,
        wanted=wanted,
        seconds=seconds,
        try_out=try_out,
        tell=lambda line: log("probe", text=line),
    )
    values, before = plan_values(found), plan_values(plan)
    for path, value in values.items():
        if value != before[path]:
            log("plan", path=path, value=value, reason=reasons[path])
    write_plan(run.plan_path, found, reasons)


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
