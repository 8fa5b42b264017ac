"""A training that goes on where its last checkpoint was, for as long as it was meant to or for longer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvala.api.fitting import fit
from uvala.api.lengthening import lengthen, lengthened, refuse_less_than_done
from uvala.api.run import Run
from uvala.api.wishes import Wishes
from uvala.data.dataset import Dataset, read_dataset
from uvala.data.patches import steps_per_epoch
from uvala.data.wording import count
from uvala.errors import ConfigError, RunError, SplitError
from uvala.files import write_text
from uvala.log import EventLog, Listener, read_events
from uvala.plan.budget import Clock
from uvala.plan.schema import plan_values
from uvala.runs.folder import RunFolder, open_run, pick_device
from uvala.training.checkpoint import events_to_keep, read_progress
from uvala.training.distributed import World
from uvala.training.progress import Progress
from uvala.training.stop import StopSignal

__all__ = ["dataset_of", "drop_events_after", "refuse_changes", "resume_run", "run_to_resume", "used_by"]


def resume_run(
    run: RunFolder,
    dataset: Dataset,
    *,
    length: Mapping[str, Any],
    more: float | None,
    device: str | None,
    listener: Listener | None,
    started: float,
    world: World,
    stop: StopSignal | None = None,
) -> Run:
    """Go on with the training of a run.

    length: settings of the plan's length that are asked for, such as another budget. more: seconds on top of
    those used so far, instead. stop: of more than this training. RunError if the training is finished and
    should not last longer, or the device is not there; nothing is changed then.
    """
    progress = read_progress(run)
    used = used_by(run, progress)
    plan = lengthened(run.plan, length, None if more is None else used + more, used)
    sizes = [dataset.sizes[name] for name in run.split.train]
    refuse_less_than_done(run.plan, plan, progress, steps_per_epoch(sizes, plan.patches))
    if plan == run.plan and run.card.training.finished:
        raise RunError(
            found=f"{run.path}, whose training is finished",
            expected="a training that was cut off or stopped, or a longer time for this one",
            fix="use it as it is, or give it more with --budget +10m",
        )
    own = world.own_device(pick_device(device or plan.device))
    drop_events_after(run.log_path, progress)
    log = EventLog(run.log_path, *([listener] if listener else []), started=started - used)
    log("note", text=f"resumed after step {progress.step}")
    if plan != run.plan:
        run = lengthen(run, plan, progress, used, log)
    clock = Clock(plan.length.budget, started=started, used=used)
    return fit(run, dataset, clock, own, log, world=world, progress=progress, stop=stop)


def run_to_resume(data: Path | None, out: str | Path | None) -> tuple[RunFolder, Path | None]:
    """The run to go on with, and where its data are if not where they were.

    Without `out`, `data` is the run: one names what one goes on with. ConfigError if nobody named it, or if
    it was imported.
    """
    if out is not None:
        run = open_run(out)
    elif data is not None and data.is_dir() and any(data.glob("card.json")):
        run, data = open_run(data), None
    else:
        raise ConfigError(
            found="--resume without a run folder" if data is None else f"--resume of {data}, which is no run",
            expected="the folder to go on with",
            fix="name it: uvala train --resume RUN, or uvala train DATA --resume --out RUN",
        )
    if run.card.data.imported:
        raise ConfigError(
            found=f"--resume of {run.path}, whose weights were imported",
            expected="a run that was trained here",
            fix=f"begin from it: uvala train DATA --from {run.path}",
        )
    return run, data


def used_by(run: RunFolder, progress: Progress) -> float:
    """Seconds that a training has used so far: those up to its checkpoint, or up to its report."""
    return max(progress.seconds, run.card.training.seconds)


def dataset_of(run: RunFolder, data: Path | None) -> Dataset:
    """The data set of a run, where it lay or in `data`; SplitError unless it is as it was."""
    card = run.card
    if data is None and not (card.data.path and Path(card.data.path).exists()):
        raise ConfigError(
            found=f"{run.path}, whose data are no longer in {card.data.path or 'a place that it knows'}",
            expected="the data set that it was trained on",
            fix=f"say where it is now: uvala train DATA --resume --out {run.path}",
        )
    dataset = read_dataset(data or card.data.path, encoding=card.encoding, channels=card.data.channels)
    names = [*run.split.train, *run.split.val, *run.split.test]
    dataset.subset(names)
    masks = run.mask_contents or dataset.mask_contents  # runs of before have none on record
    for kind, before, now in (
        ("image", run.contents, dataset.contents),
        ("mask", masks, dataset.mask_contents),
    ):
        changed = [name for name in names if before.get(name) != now[name]]
        if changed:
            raise SplitError(
                found=f"{count(len(changed), f'changed {kind}')} in {dataset.root}, such as {changed[0]}",
                expected=f"the {kind}s that the training began with",
                fix="bring them back, or train anew with another --out (--from begins with these weights)",
            )
    return dataset


def refuse_changes(run: RunFolder, wishes: Wishes, *others: str) -> dict[str, Any]:
    """The wishes for another length; ConfigError if a resume asks for another change of the run's plan.

    Asking for what the plan says is fine. others: what else was asked for and cannot change.
    """
    plan = plan_values(run.plan)
    changed = {path: value for path, value in wishes.values.items() if plan.get(path) != value}
    length = {path: value for path, value in changed.items() if path.startswith("length.")}
    refused = [*(path for path in changed if path not in length), *others]
    if refused:
        raise ConfigError(
            found=f"--resume together with another {', '.join(refused)}",
            expected=f"the plan and the split that {run.path} holds",
            fix="leave these out, or train anew with another --out",
        )
    return length


def drop_events_after(path: Path, progress: Progress) -> None:
    """Take out of a log what a resume will say again: steps must not stand in it twice."""
    kept = events_to_keep(read_events(path), progress)
    write_text(path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in kept))
