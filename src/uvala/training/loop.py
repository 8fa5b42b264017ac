"""The only loop over training steps."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uvala.augment.spatial import window_margin
from uvala.data.dataset import Dataset
from uvala.data.loader import Prefetch
from uvala.data.patches import ImageStore, PatchSampler
from uvala.data.sample import Sample
from uvala.errors import DataError
from uvala.log import EventLog
from uvala.models.catalog import create_model, without_pretrained
from uvala.plan.budget import Clock
from uvala.plan.probe import autocast_dtype
from uvala.plan.schema import LengthConfig, Plan
from uvala.runs.card import NetworkCard
from uvala.runs.folder import RunFolder
from uvala.training.average import WeightAverage
from uvala.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from uvala.training.pace import BudgetPace, Pace, StepPace
from uvala.training.schedule import learning_rate
from uvala.training.step import enough_memory, make_step
from uvala.training.validate import validate

__all__ = ["Job", "Training"]

_CHECKPOINT_SECONDS = 60.0  # at most this much work is lost to a power cut
_LOG_SECONDS = 0.5
_NAN_STEPS = 25  # in a row; float16 refuses a few steps until its scale has settled


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, for how long, and where it goes.

    pixels_after, seconds_after: what is still to be predicted, and how long all else takes, after the
    training; a budget keeps time for both.
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


class Training:
    """A training that can be cut off after any step. The best weights so far lie in the run folder.

    progress: where it is.
    """

    def __init__(self, job: Job, *, resume: bool = False) -> None:
        self.job = job
        plan, network = job.plan, job.network
        torch.manual_seed(plan.seed)
        self.model = create_model(
            network.name,
            in_channels=network.in_channels,
            num_classes=network.logits or network.num_classes,
            **(without_pretrained(network.options) if resume else network.options),
        ).to(job.device)
        self.average = WeightAverage(self.model, plan.optimiser.average)
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=plan.optimiser.learning_rate, weight_decay=plan.optimiser.weight_decay
        )
        # the gradients of float16 underflow if they are not scaled
        half = autocast_dtype(plan.precision, job.device) is torch.float16
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=half)
        self.progress = Progress()
        if resume:
            self.progress = load_checkpoint(job.run.checkpoint_path, self._models, self.optimiser)
        if self.progress.scale is not None:
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": self.progress.scale})
        self.store = ImageStore(job.dataset, plan.normalisation, targets=plan.targets)
        margin = window_margin(plan.augment, plan.patches.size)
        self.sampler = PatchSampler(self.store, job.training, plan.patches, margin, plan.seed)
        self.pace = _pace(job, self.sampler.steps_per_epoch, self.progress)
        # in a random order, so that those which a time limit allows are a fair sample
        self.judges = random.Random(plan.seed).sample(list(job.validation), len(job.validation))
        self._judged_step = -1
        self._warned = False

    def run(self, stop_asked: Callable[[], bool]) -> bool:
        """Train to the end; False if `stop_asked` came first. Either way there are weights in the run."""
        step = make_step(self.model, self.optimiser, self.scaler, self.job.plan, self.job.device)
        saved = time.monotonic()
        meter = _Meter(self.job.log, self.pace, self.job.plan.patches.batch)
        stopped = False
        with Prefetch(self._make_batch, self.progress.step) as batches:
            waited = self.progress.waited
            while not self.pace.over(self.progress.step):
                if stopped := stop_asked():
                    break
                rate = learning_rate(self.pace.share(self.progress.step), self.job.plan.optimiser)
                with enough_memory(self.job.plan.patches.batch):
                    loss = step(self.progress.step, *batches.next(), rate)
                meter.add(loss, rate)
                self._note(step=self.progress.step + 1, waited=waited + batches.waited)
                if math.isfinite(loss):
                    self.average.update(self.model, self.progress.step)
                if self.pace.validation_due(self.progress.step):
                    self._judge()
                    self._save()
                    saved = time.monotonic()
                    meter.restart()
                elif time.monotonic() - saved > _CHECKPOINT_SECONDS:
                    self._save()
                    saved = time.monotonic()
                meter.report(self.progress)
        # a stop adds no validation to those of an unstopped training, unless there are no weights to keep yet
        self._save()
        if self.progress.best_dice is None or (not stopped and self.progress.step != self._judged_step):
            self._judge()
            self._save()
        return not stopped

    @property
    def _models(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average.model}

    def _make_batch(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        images, masks, maps = self.sampler.windows(number)
        return torch.from_numpy(images), torch.from_numpy(masks), torch.from_numpy(maps)

    def _judge(self) -> None:
        """Validate, and keep the weights if they are the best so far."""
        job, progress = self.job, self.progress
        limit = math.inf if progress.validated else self.pace.validation_limit
        judges = self.judges[: progress.validated or len(self.judges)]
        found = validate(
            self.average.model, self.store, judges, job.network, job.plan.tiles, job.device, limit
        )
        self.pace.validated(progress.step, found.seconds, found.pixels)
        self._judged_step = progress.step
        before = progress.best_dice if progress.best_score is None else progress.best_score
        # of equals the later one: on an easy task Dice is perfect long before probabilities are
        best = before is None or found.score >= before
        if best:
            job.run.write_weights(self.average.model.state_dict())
            self._note(best_step=progress.step, best_dice=found.mean_dice, best_score=found.score)
        self._note(validated=found.images)
        job.log(
            "validation",
            step=progress.step,
            mean_dice=found.mean_dice,
            dice=found.dice,
            score=found.score,
            best=best,
            images=found.images,
            seconds=round(found.seconds, 3),
        )
        if len(found.predicted) == 1 and progress.share > 0.3 and not self._warned:
            self._warned = True
            name = job.dataset.encoding.names[found.predicted[0]]
            job.log("warning", text=f"the network still predicts nothing but '{name}': see `uvala check`")

    def _save(self) -> None:
        self._note(scale=self.scaler.get_scale() if self.scaler.is_enabled() else None)
        save_checkpoint(self.job.run.checkpoint_path, self._models, self.optimiser, self.progress)

    def _note(self, **changes: object) -> None:
        self.progress = self.progress.model_copy(update=changes)
        self.progress = self.progress.model_copy(
            update={"share": self.pace.share(self.progress.step), "seconds": self.job.clock.elapsed}
        )


class _Meter:
    """Gathers losses and says them a few times a second; raises DataError when they stay NaN."""

    def __init__(self, log: EventLog, pace: Pace, batch: int) -> None:
        self.log = log
        self.pace = pace
        self.batch = batch
        self.refused = 0
        self.rate = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new interval, such as after a validation."""
        self.began = time.monotonic()
        self.losses: list[float] = []

    def add(self, loss: float, rate: float) -> None:
        """Take note of one step."""
        self.rate = rate
        if math.isfinite(loss):
            self.losses.append(loss)
            self.refused = 0
            return
        self.refused += 1
        if self.refused >= _NAN_STEPS:
            raise DataError(
                found=f"a loss that is not a number in {_NAN_STEPS} steps in a row",
                expected="a finite loss",
                fix="run `uvala check`, or lower optimiser.learning_rate; the best weights so far are kept",
            )

    def report(self, progress: Progress) -> None:
        """Say the mean loss since the last report, if it is time to."""
        seconds = time.monotonic() - self.began
        if not self.losses or (seconds < _LOG_SECONDS and not self.pace.over(progress.step)):
            return
        self.log(
            "step",
            step=progress.step,
            share=round(progress.share, 4),
            loss=round(sum(self.losses) / len(self.losses), 6),
            learning_rate=self.rate,
            images_per_second=round(len(self.losses) * self.batch / max(seconds, 1e-9), 2),
            seconds_left=self.pace.seconds_left,
        )
        self.restart()


def _pace(job: Job, steps_per_epoch: int, progress: Progress) -> Pace:
    length = _steps(job.plan.length, steps_per_epoch)
    if length is not None:
        return StepPace(length, job.plan.validation, done=progress.step)
    return BudgetPace(
        job.clock,
        job.plan.validation,
        done=progress.share,
        pixels_after=job.pixels_after,
        seconds_after=job.seconds_after,
    )


def _steps(length: LengthConfig, steps_per_epoch: int) -> int | None:
    if length.steps is not None:
        return length.steps
    if length.epochs is not None:
        return max(1, round(length.epochs * steps_per_epoch))
    assert length.budget is not None, "the planner gives every training a length"
    return None
