"""What a training is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.errors import ConfigError
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.plan.schema import LengthConfig, Plan
from uvala.runs.card import NetworkCard
from uvala.runs.folder import RunFolder
from uvala.training.distributed import World
from uvala.training.pace import BudgetPace, Pace, StepPace
from uvala.training.progress import Progress

__all__ = ["Job", "make_pace", "steps_of"]


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, for how long, and where it goes.

    pixels_after, seconds_after: what is still to be predicted, and how long all else takes, after the
    training; a budget keeps time for both. world: the processes that train together. start: the network's
    state dict to begin with, in place of random weights. share: where on the schedule (0 to 1) a resume goes
    on, if its budget is another than before. validated: images that each validation looks at, the first of a
    random order; 0: as many as there is time for.
    """

    run: RunFolder
    dataset: Dataset
    training: Sequence[Sample]
    validation: Sequence[Sample]
    plan: Plan
    network: NetworkCard
    device: torch.device
    clock: Clock
    log: EventLog
    pixels_after: int = 0
    seconds_after: float = 0.0
    world: World = field(default_factory=World.alone)
    start: Mapping[str, Tensor] | None = None
    share: float | None = None
    validated: int = 0


def make_pace(job: Job, steps_per_epoch: int, progress: Progress) -> Pace:
    """The pace that the plan's length asks for, from `progress` on."""
    length = steps_of(job.plan.length, steps_per_epoch)
    if length is not None:
        return StepPace(length, job.plan.validation, done=progress.step)
    return BudgetPace(
        job.clock,
        job.plan.validation,
        done=progress.share if job.share is None else job.share,
        pixels_after=job.pixels_after,
        seconds_after=job.seconds_after,
        validation_seconds=progress.validation_seconds,
        seconds_per_pixel=progress.seconds_per_pixel,
        step_seconds=progress.trained / progress.step if progress.step else 0.0,
    )


def steps_of(length: LengthConfig, steps_per_epoch: int) -> int | None:
    """Steps of a training of that length; None: the time decides. ConfigError if it has none."""
    if length.steps is not None:
        return length.steps
    if length.epochs is not None:
        return max(1, round(length.epochs * steps_per_epoch))
    if length.budget is None:
        raise ConfigError(
            found="a plan without a length",
            expected="length.budget, length.steps or length.epochs in plan.toml",
            fix="take plan.toml from a copy of the run, or write one of them into it",
        )
    return None
