"""Cross-validation: a network per fold, each in a run folder of its own, and all together as one run.

    RUN/                  the plan, the card that names the folds, scores and report of all together
    RUN/fold-1/ ...       a run folder each, which can be used, scored and resumed by itself

Whatever predicts with RUN takes the mean of the folds' probabilities. How objects are found in it, and the
scores out of fold, come from images predicted by the one network that was not trained on them.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from uvala.api.fitting import fit
from uvala.api.fold_scores import finish_folds, notes_of_data
from uvala.api.fold_times import (
    folds_of,
    has_begun,
    is_finished,
    left_of_begun,
    lengthen_folds,
    seconds_for_fresh,
    used_by_folds,
)
from uvala.api.lengthening import lengthened, reasons_of
from uvala.api.preparing import Prepared, write_down
from uvala.api.resuming import drop_events_after, resume_run
from uvala.api.run import Run
from uvala.config import override
from uvala.data.dataset import Dataset
from uvala.data.folds import make_folds
from uvala.data.splits import Split
from uvala.errors import ConfigError, DataError, RunError
from uvala.files import claim_folder, held, storage_errors, write_text
from uvala.log import EventLog, Listener, read_events
from uvala.plan.budget import LEAST, Clock
from uvala.plan.schema import write_plan
from uvala.runs.card import TrainingCard
from uvala.runs.folder import RunFolder, pick_device
from uvala.training.distributed import World
from uvala.training.progress import Progress
from uvala.training.stop import StopSignal

__all__ = ["begin_folds", "fit_folds", "resume_folds"]


def begin_folds(prepared: Prepared, run: RunFolder, listener: Listener | None, started: float) -> EventLog:
    """Fill a new run folder with all that its folds begin from; its log."""
    members = tuple(f"fold-{number}" for number in range(1, prepared.plan.folds + 1))
    split = prepared.split
    # drawn once: the images may have been joined by others, and the rules be others, at a resume
    run.write_folds(make_folds(prepared.dataset, split, len(members), seed=prepared.plan.seed))
    # all that is not held out trains some of the networks
    origin = f"{split.origin}; all that is not for testing in {len(members)} folds"
    parts = {"train": (*split.train, *split.val), "val": (), "origin": origin}
    prepared = replace(prepared, split=split.model_copy(update=parts))
    return write_down(prepared, run, listener, started, members=members)


def fit_folds(
    run: RunFolder,
    dataset: Dataset,
    clock: Clock,
    device: torch.device,
    log: EventLog,
    listener: Listener | None,
    *,
    world: World,
) -> Run:
    """Train each fold that is not finished, then tune, score and report all of them together.

    A stop that is asked for in one of them, while it is trained or scored, is one of all. Folds for which no
    time is left do not begin. One that goes wrong is told, and tried again by a resume, for which its time is
    kept; the others go on. DataError if none has come to anything.
    """
    folds = list(zip(folds_of(run), _splits(run, dataset), strict=True))
    failed: dict[RunFolder, DataError] = {}
    own_device = device.type if world.size > 1 else str(device)  # of several each takes its own
    with StopSignal(launched=world.size > 1) as stop:
        for place, (fold, split) in enumerate(folds):
            began = time.monotonic()
            if is_finished(fold):
                continue
            if stop.asked:
                break
            log("fold", number=place + 1, of=len(folds))
            train: Callable[[], object]
            if has_begun(fold):
                train = partial(
                    resume_run,
                    fold,
                    dataset,
                    length={},
                    more=None,
                    device=own_device,
                    listener=listener,
                    started=began,
                    world=world,
                    stop=stop,
                )
            else:
                promised = sum(map(left_of_begun, failed))
                seconds = seconds_for_fresh(run, dataset, clock, promised=promised)
                if seconds is not None and seconds < LEAST:
                    break
                fold_log = _begin(run, fold, split, place + 1, seconds, dataset, listener, began)
                own = Clock(seconds, started=began)
                train = partial(fit, fold, dataset, own, device, fold_log, world=world, stop=stop)
            try:
                with held(fold.path):
                    train()
            except DataError as error:
                if world.size > 1:  # the others wait for words of a training that has ended
                    raise
                # its frames hold the network and the images of this fold
                failed[fold] = error.with_traceback(None)
                log("warning", text=f"{fold.path.name} went wrong: {error}")
                continue
            if not is_finished(fold):
                break
        if failed and not any(fold.has_chosen_weights for fold, _ in folds):
            raise next(iter(failed.values()))
        return finish_folds(run, dataset, folds, clock, device, log, stop=stop, failed=failed)


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
    used = used_by_folds(run)
    total = lengthened(run.plan, length, None if more is None else used + more, used)
    trained = run.card.training
    # a fold that was gone on with by itself has other weights than those that were scored together
    known = all(is_finished(fold) and fold.card.training.ended <= trained.ended for fold in folds_of(run))
    if total == run.plan and trained.finished and known:
        raise RunError(
            found=f"{run.path}, whose folds are finished",
            expected="folds that were cut off or stopped, or a longer time for them",
            fix="use it as it is, or give it more with --budget +10m",
        )
    if total != run.plan and total.length.budget is None:
        raise ConfigError(
            found="another number of steps for folds",
            expected="another budget",
            fix="give each fold its steps: uvala train --resume RUN/fold-1 --set length.steps=N",
        )
    own = world.own_device(pick_device(device or total.device))  # refused before anything is written
    log = EventLog(run.log_path, *([listener] if listener else []), started=started - used)
    clock = Clock(total.length.budget, started=started, used=used)
    if total != run.plan:
        before = Clock(run.plan.length.budget, started=started, used=used)
        run = lengthen_folds(run, dataset, total, before, clock, log)
    drop_events_after(run.log_path, Progress())  # after what may refuse
    return fit_folds(run, dataset, clock, own, log, listener, world=world)


def _splits(run: RunFolder, dataset: Dataset) -> list[Split]:
    """The split of each fold, as it was drawn when the run began."""
    if run.folds:
        return list(run.folds)
    # of an older uvala: what a fold has begun with stays, the others are drawn as they were then
    folds = folds_of(run)
    drawn = make_folds(dataset, run.split, len(folds), seed=run.plan.seed)
    pairs = zip(folds, drawn, strict=True)
    return [fold.split if has_begun(fold) else split for fold, split in pairs]


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
    shutil.rmtree(fold.path, ignore_errors=True)  # cut off while it was filled: the card comes last
    claim_folder(fold.path, purpose="a fold")
    own, why = _own_settings(seconds), "a fold of a run, with its share of the time"
    plan = override(run.plan, own, where="the plan of a fold")
    write_plan(fold.plan_path, plan, {**reasons_of(run), **dict.fromkeys(own, why)})
    fold.write_split(split)
    fold.write_contents(dataset.contents, dataset.mask_contents)
    write_text(fold.log_path, "")
    if run.start_path.is_file():
        with storage_errors(fold.start_path):
            fold.start_path.parent.mkdir(exist_ok=True)
            shutil.copyfile(run.start_path, fold.start_path)
    counts = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
    card = run.card
    said = {"fold": number, "split_origin": split.origin, "notes": notes_of_data(card), **counts}
    data = card.data.model_copy(update=said)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # of the time that the run has used before a resume, this fold has used none
    begun = TrainingCard(**card.training.model_dump(include={"start", "device", "machine"}))
    changes = {"members": (), "data": data, "created": now, "training": begun}
    fold.write_card(card.model_copy(update=changes))
    log = EventLog(fold.log_path, *([listener] if listener else []), started=started)
    for event in read_events(run.log_path):
        # with a step: of how it began, and not of how an earlier fold went
        if event["event"] in ("plan", "data") or (event["event"] == "warning" and "step" in event):
            log.append(event)
    for path, value in own.items():
        log("plan", path=path, value=value, reason=why)
    return log


def _own_settings(seconds: float | None) -> dict[str, Any]:
    """What of the plan is another for a fold."""
    return {"folds": 1} if seconds is None else {"folds": 1, "length.budget": round(seconds, 1)}
