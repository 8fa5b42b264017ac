"""Cross-validation: a network per fold, each in a run folder of its own, and all together as one run.

    RUN/                  the plan, the card that names the folds, scores and report of all together
    RUN/fold-1/ ...       a run folder each, which can be used, scored and resumed by itself

Whatever predicts with RUN takes the mean of the folds' probabilities. How objects are found in it, and the
scores out of fold, come from images predicted by the one network that was not trained on them.
"""

import math
import shutil
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import torch

from uvala.api.finishing import page_seconds, tuning_seconds
from uvala.api.fitting import fit
from uvala.api.fold_scores import finish_folds
from uvala.api.lengthening import lengthened
from uvala.api.preparing import Prepared, write_down
from uvala.api.resuming import resume_run, used_by
from uvala.api.run import Run
from uvala.config import override
from uvala.data.dataset import Dataset
from uvala.data.folds import make_folds
from uvala.data.splits import Split
from uvala.errors import BudgetError, ConfigError, RunError
from uvala.files import claim_folder, write_text
from uvala.log import EventLog, Listener, read_events
from uvala.plan.budget import LEAST, Clock, format_duration
from uvala.plan.schema import Plan, write_plan
from uvala.runs.folder import RunFolder, pick_device
from uvala.training.checkpoint import read_progress
from uvala.training.distributed import World

__all__ = ["begin_folds", "clock_of_fold", "fit_folds", "resume_folds"]

_AFTER_SECONDS, _PAGES = 1.0, 2.5  # loading all networks again, and drawing two pages
_SECONDS_PER_PIXEL = 2e-6  # of a prediction, until a fold has measured it
_MOST_RESERVED = 0.25  # share of a budget for what follows the last fold


def clock_of_fold(clock: Clock, folds: int) -> Clock:
    """The time that a plan for one of several folds is made for; BudgetError if that is too short."""
    if clock.budget is None:
        return clock
    if clock.budget < folds * LEAST:
        raise BudgetError(
            found=f"a budget of {format_duration(clock.budget)} for {folds} folds",
            expected=f"at least {LEAST:.0f} s for each",
            fix=f"choose fewer folds, or --budget {folds * LEAST:.0f}s or more",
        )
    return Clock(clock.elapsed + clock.remaining / folds, started=time.monotonic() - clock.elapsed)


def begin_folds(prepared: Prepared, run: RunFolder, listener: Listener | None, started: float) -> EventLog:
    """Fill a new run folder with all that its folds begin from; its log."""
    log = write_down(prepared, run, listener, started)
    members = tuple(f"fold-{number}" for number in range(1, prepared.plan.folds + 1))
    # all that is not held out trains some of the networks
    split = prepared.split
    origin = f"{split.origin}; all that is not for testing in {len(members)} folds"
    parts = {"train": (*split.train, *split.val), "val": (), "origin": origin}
    run.write_split(split.model_copy(update=parts))
    card = run.card
    counts = {"train": len(parts["train"]), "val": 0, "split_origin": origin}
    data = card.data.model_copy(update=counts)
    run.write_card(card.model_copy(update={"members": members, "data": data}))
    return log


def _used_by_folds(run: RunFolder) -> float:
    """Seconds that the folds of a run have used so far."""
    begun = [fold for fold in _folds(run) if (fold.path / "card.json").is_file()]
    return sum((used_by(fold, read_progress(fold)) for fold in begun), 0.0)


def fit_folds(
    run: RunFolder,
    dataset: Dataset,
    clock: Clock,
    device: torch.device,
    log: EventLog,
    listener: Listener | None,
    *,
    world: World,
    more: float | None = None,
) -> Run:
    """Train each fold that is not finished, then tune, score and report all of them together.

    more: seconds on top of what each fold has used, the finished ones included.
    """
    folds = _folds(run)
    splits = make_folds(dataset, run.split, len(folds), seed=run.plan.seed)
    ended = True
    for place, (fold, split) in enumerate(zip(folds, splits, strict=True)):
        began = time.monotonic()
        card = fold.card if (fold.path / "card.json").is_file() else None
        if card is not None and card.training.finished and more is None:
            continue
        log("fold", number=place + 1, of=len(folds))
        if card is not None:
            result = resume_run(
                fold,
                dataset,
                length={},
                more=more,
                device=device.type if world.size > 1 else str(device),  # of several each takes its own
                listener=listener,
                started=began,
                world=world,
            )
        else:
            left = [each for each in folds[place:] if not (each.path / "card.json").is_file()]
            seconds = None
            if clock.budget is not None:
                reserve = _reserve(run, dataset, folds[:place], clock)
                seconds = max(LEAST, (clock.remaining - reserve) / len(left))
            fold_log = _begin(run, fold, split, place + 1, seconds, dataset, listener, began)
            result = fit(fold, dataset, Clock(seconds, started=began), device, fold_log, world=world)
        if not result.card.training.finished:
            ended = False
            break
    return finish_folds(run, dataset, list(zip(folds, splits, strict=True)), clock, device, log, ended=ended)


def resume_folds(
    run: RunFolder,
    dataset: Dataset,
    *,
    length: Mapping[str, Any],
    more: float | None,
    device: str | None,
    listener: Listener | None,
    started: float,
    world: World,
) -> Run:
    """Go on with the folds that are not finished, or with each of them for its share of `more` seconds.

    length: as of `resume_run`, but of folds only another budget. RunError if all are finished.
    """
    used = _used_by_folds(run)
    total = lengthened(run.plan, length, None if more is None else used + more, used)
    if total == run.plan and run.card.training.finished:
        raise RunError(
            found=f"{run.path}, whose folds are finished",
            expected="folds that were cut off or stopped, or a longer time for them",
            fix="use it as it is, or give it more with --budget +10m",
        )
    log = EventLog(run.log_path, *([listener] if listener else []), started=started - used)
    budget = total.length.budget
    on_top = None
    if total != run.plan:
        if budget is None:
            raise ConfigError(
                found="another number of steps for folds",
                expected="another budget",
                fix="give each fold its steps: uvala train --resume RUN/fold-1 --set length.steps=N",
            )
        on_top = (budget - used) / len(run.card.members)
        write_plan(run.plan_path, total, {**_reasons(run), "length.budget": "lengthened by you"})
        run = RunFolder(run.path)
    clock = Clock(budget, started=started, used=used)
    own = world.own_device(pick_device(device or total.device))
    return fit_folds(run, dataset, clock, own, log, listener, world=world, more=on_top)


def _folds(run: RunFolder) -> list[RunFolder]:
    return [RunFolder(run.path / name) for name in run.card.members]


def _begin(
    run: RunFolder,
    fold: RunFolder,
    split: Split,
    number: int,
    seconds: float | None,
    dataset: Dataset,
    listener: Listener | None,
    started: float,
) -> EventLog:
    """Fill the run folder of a fold; its log."""
    if not (fold.path / "card.json").is_file():
        shutil.rmtree(fold.path, ignore_errors=True)  # cut off while it was filled: the card comes last
    claim_folder(fold.path, purpose="a fold")
    write_plan(fold.plan_path, _plan_of_fold(run.plan, seconds), _reasons(run))
    fold.write_split(split)
    fold.write_contents(dataset.contents)
    write_text(fold.log_path, "")
    if run.start_path.is_file():
        fold.start_path.parent.mkdir(exist_ok=True)
        shutil.copyfile(run.start_path, fold.start_path)
    counts = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
    card = run.card
    data = card.data.model_copy(update={"fold": number, "split_origin": split.origin, **counts})
    now = datetime.now(UTC).isoformat(timespec="seconds")
    fold.write_card(card.model_copy(update={"members": (), "data": data, "created": now}))
    log = EventLog(fold.log_path, *([listener] if listener else []), started=started)
    for event in read_events(run.log_path):
        if event["event"] in ("plan", "data"):
            log.append(event)
    return log


def _plan_of_fold(plan: Plan, seconds: float | None) -> Plan:
    length = {} if seconds is None else {"length.budget": round(seconds, 1)}
    return override(plan, {"folds": 1, **length}, where="the plan of a fold")


def _reasons(run: RunFolder) -> dict[str, str]:
    return {e["path"]: e["reason"] for e in read_events(run.log_path) if e["event"] == "plan"}


def _reserve(run: RunFolder, dataset: Dataset, done: Iterable[RunFolder], clock: Clock) -> float:
    """Seconds to keep for what follows the last fold: each image by one network, the test images by all."""
    measured = [read_progress(fold).seconds_per_pixel for fold in done]
    pace = max([each for each in measured if each] or [_SECONDS_PER_PIXEL])
    once, test = _pixels(dataset, run.split.train), _pixels(dataset, run.split.test)
    seconds = (
        _AFTER_SECONDS
        + _PAGES * page_seconds()
        + tuning_seconds(clock)
        + pace * (2 * once + len(run.card.members) * test)
    )
    return min(seconds, _MOST_RESERVED * (clock.budget or 0.0))


def _pixels(dataset: Dataset, names: Iterable[str]) -> int:
    return sum(math.prod(dataset.sizes[name]) for name in names)
