"""The training itself: from a run folder that says everything to the best weights and their scores."""

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch

from uvala.api.finishing import Finish, page_seconds, shuffled, tuning_seconds
from uvala.api.leading import call_followers
from uvala.api.run import Run
from uvala.api.scoring import task_of
from uvala.api.tuning import MOST_IMAGES
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.plan.schema import LengthConfig
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder
from uvala.tiling.tta import views_of
from uvala.training.distributed import World
from uvala.training.job import Job
from uvala.training.loop import Training
from uvala.training.progress import Progress
from uvala.training.stop import StopSignal
from uvala.training.tracking import tracked

__all__ = ["fit"]

# loading the weights again, reading a few images, leaving Python: so long, and so often what a page takes
_AFTER_SECONDS, _AFTER_PAGES = 0.5, 1.2
# of a budget, for what nobody thought of
_UNFORESEEN = 0.003
# every measure of an image beside its prediction: 0.4 microseconds a pixel as measured with eleven classes,
# up to 1.4 with objects and thresholds of membranes
_SECONDS_PER_PIXEL_OF_CLASSES, _SECONDS_PER_PIXEL_OF_OBJECTS = 0.6e-6, 1e-6
# below which a network is as good as untrained
_FEW_STEPS = 10


def fit(
    run: RunFolder,
    dataset: Dataset,
    clock: Clock,
    device: torch.device,
    log: EventLog,
    *,
    world: World,
    progress: Progress | None = None,
    stop: StopSignal | None = None,
) -> Run:
    """Train as `run` says, from `progress` on if given; score the best weights, write the report.

    world: of which this is rank 0; the others train along. stop: of more than this training; None: its own.
    """
    asking = StopSignal(launched=world.size > 1) if stop is None else nullcontext(stop)
    with tracked(run, log) as heard, asking as signal:
        return _fit(run, dataset, clock, device, heard, world=world, progress=progress, stop=signal)


def _fit(
    run: RunFolder,
    dataset: Dataset,
    clock: Clock,
    device: torch.device,
    log: EventLog,
    *,
    world: World,
    progress: Progress | None,
    stop: StopSignal,
) -> Run:
    plan, parts, card = run.plan, run.split, run.card
    # a fold leaves the test images to all folds together, and tells of those that it was not trained on
    subset = "test" if parts.test and card.data.fold is None else "val"
    validation, scored = dataset.subset(parts.val), dataset.subset(getattr(parts, subset))
    decided_by = shuffled(validation, plan.seed)[:MOST_IMAGES]
    page = page_seconds() if clock.budget else 0.0
    semantic = task_of(dataset, decided_by).task == "semantic"
    per_pixel = _SECONDS_PER_PIXEL_OF_CLASSES if semantic else _SECONDS_PER_PIXEL_OF_OBJECTS
    job = Job(
        run=run,
        dataset=dataset,
        training=dataset.subset(parts.train),
        validation=validation,
        plan=plan,
        network=card.network,
        device=device,
        clock=clock,
        log=log,
        # a validation looks at one view of an image, what follows at all that the plan names
        pixels_after=len(views_of(plan.test_time)) * _pixels(dataset, [*decided_by, *scored]),
        seconds_after=_AFTER_SECONDS
        + _AFTER_PAGES * page
        + (0.0 if semantic else tuning_seconds(clock))
        + _UNFORESEEN * (clock.budget or 0.0)
        + per_pixel * _pixels(dataset, scored),
        world=world,
        start=run.start,
        share=_rejoined(card, progress),
    )
    call_followers(world, run, resume=progress is not None)
    training = Training(job, resume=progress is not None)
    began_at = progress.step if progress else 0
    ended = training.run(lambda: stop.asked)
    reached = training.progress
    brief = progress is not None or not ended
    finish = Finish(run, dataset, device, clock, log, stop, brief=brief, ended=ended, page=page)
    finish.write_training(reached, finished=False)
    if ended and (few := _too_few(plan.length, reached.step, since=began_at)):
        log("warning", text=few)
    if not ended:
        log("warning", text=f"stopped at step {reached.step}; uvala train --resume {run.path} goes on")
    finish.tune(decided_by, len(scored))
    scores = finish.score(scored, subset)
    finish.write_training(reached, finished=ended)
    finish.end(scores, data=reached.data_share, steps_per_second=reached.steps_per_second)
    return Run(run, str(device))


def _too_few(length: LengthConfig, steps: int, *, since: int) -> str:
    """That a time was too short to learn anything in, in words; empty if it was not."""
    if length.steps is not None or length.epochs is not None:
        return ""
    if steps == since:
        return "no step was trained: reading and scoring take all of the time; give more of it"
    if steps < _FEW_STEPS:
        what = "a step" if steps == 1 else f"{steps} steps"
        return (
            f"there was time for no more than {what}: the network has learnt next to nothing; give more time"
        )
    return ""


def _rejoined(card: Card, progress: Progress | None) -> float | None:
    """Where a lengthened training goes on, until it has a checkpoint that was made since."""
    if progress is None or card.training.rejoined is None:
        return None
    step, share = card.training.rejoined
    return share if progress.step <= step else None


def _pixels(dataset: Dataset, samples: Sequence[Sample]) -> int:
    return sum(math.prod(dataset.sizes[sample.name]) for sample in samples)
