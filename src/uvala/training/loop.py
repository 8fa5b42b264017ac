"""The only loop over training steps."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from uvala.augment.spatial import window_margin
from uvala.data.cache import open_cache
from uvala.data.loader import Prefetch, loader_threads
from uvala.data.patches import PatchSampler
from uvala.data.store import ImageStore
from uvala.plan.probe import autocast_dtype
from uvala.training.average import WeightAverage
from uvala.training.checkpoint import pack_state, unpack_state
from uvala.training.determinism import same_bits
from uvala.training.freezing import encoder_of, freeze, is_frozen
from uvala.training.job import Job, make_pace
from uvala.training.judging import Judge, copied
from uvala.training.keeper import Keeper
from uvala.training.meter import Meter
from uvala.training.network import make_network
from uvala.training.optimiser import make_optimiser
from uvala.training.progress import Floor, Progress
from uvala.training.schedule import learning_rate
from uvala.training.step import Step, enough_memory, make_step
from uvala.training.voice import Voice
from uvala.training.watchdog import gave_up

__all__ = ["Job", "Training"]

_FIRST_SCALE = 2.0**16  # of gradients in float16; too much of it costs a refused step for each halving


class _Now(NamedTuple):
    """What comes next, for all ranks alike; they are true or false as floats."""

    over: float
    validate: float
    save: float
    stop: float
    share: float


class Training:
    """A training that can be cut off at any moment. The best weights so far lie in the run folder.

    progress: where it is.
    """

    def __init__(self, job: Job, *, resume: bool = False) -> None:
        self.job = job
        plan, world = job.plan, job.world
        self.say = Voice(job.log, silent=not world.is_main)
        self.keeper = Keeper(job.run, world, self.say)
        content = self.keeper.newest() if resume else b""
        self.model = make_network(job, empty=bool(content))
        self.encoder = encoder_of(self.model) if plan.freeze.encoder else None
        self.average = WeightAverage(self.model, plan.optimiser.average)
        self.optimiser = make_optimiser(self.model, plan.optimiser)
        # the gradients of float16 underflow if they are not scaled
        half = autocast_dtype(plan.precision, job.device) is torch.float16
        self.scaler = torch.amp.GradScaler(job.device.type, init_scale=_FIRST_SCALE, enabled=half)
        self.progress = Progress(given=job.start is not None, validated=job.validated)
        good = copied(self.average.model)
        if content:
            path = job.run.checkpoint_path
            self.progress, good = unpack_state(content, self._models, self.optimiser, path)
            if self.scaler.is_enabled() and self.progress.scaler:
                self.scaler.load_state_dict(dict(self.progress.scaler))
        store = ImageStore(
            job.dataset,
            plan.normalisation,
            targets=plan.targets,
            objects=plan.patches.object_share > 0,
            cache=open_cache(plan.execution.cache),
            say=self.say,
        )
        margin = window_margin(plan.augment, plan.patches.size)
        self.sampler = PatchSampler(store, job.training, plan.patches, margin, plan.seed)
        self.slots = world.slots(plan.patches.batch)
        self.pace = make_pace(job, self.sampler.steps_per_epoch, self.progress)
        # what it keeps as good is also what the training is put back to when it goes wrong
        self.judge = Judge(job, store, self.pace, self.say, good)
        self.judge.agree_with_folder(self.progress)

    def run(self, stop_asked: Callable[[], bool]) -> bool:
        """Train to the end; False if `stop_asked` came first. Either way there are weights in the run.

        Raises DataError if it went wrong once too often, StorageError if the best weights cannot be written,
        ConfigError if the device has too little memory.
        """
        with same_bits(self.job.plan.execution.deterministic):
            self._weigh_the_start()
            threads = loader_threads(self.job.device.type)
            with Prefetch(self._make_batch, self.progress.step, threads=threads) as batches:
                stopped = self._steps(batches, stop_asked)
            self._save()
            if stopped:
                # a stop adds no validation to those of an unstopped training, and its checkpoint knows of
                # none: it is there so that there are weights
                if self.progress.best_dice is None:
                    self._judge(extra=True)
            elif self.progress.judged != self.progress.step:
                self._judge()
                self._save()
        self._say_what_the_start_was_worth()
        return not stopped

    def _weigh_the_start(self) -> None:
        """Score the weights that were given, or those that a training goes on with for longer than before."""
        progress, length = self.progress, self.job.plan.length
        if progress.given and progress.judged is None:
            self._judge()
        elif progress.length == length or progress.best_dice is None:
            self._note(length=length)
            return
        else:
            self.progress = self.judge.again(self.average.model, progress)
        score, validations = self.progress.score, self.progress.validations
        assert score is not None, "they have just been scored"
        self._note(length=length, floor=Floor(score=score, step=progress.step, validations=validations))
        self._save()

    def _steps(
        self, batches: Prefetch[tuple[Tensor, Tensor, Tensor]], stop_asked: Callable[[], bool]
    ) -> bool:
        """Train until the end or a stop; whether it was a stop."""
        plan, world = self.job.plan, self.job.world
        meter = Meter(self.say, self.pace, plan.patches.batch)
        waited_before = self.progress.waited
        step: Step | None = None
        frozen = False
        while True:
            now = self._agree(stop_asked)
            if now.validate:
                self._judge()
                self._save()
                meter.restart()
                continue
            if now.save:
                self._save()
            if now.over or now.stop:
                return not now.over
            if step is None or frozen != is_frozen(now.share, plan.freeze):
                frozen = is_frozen(now.share, plan.freeze)
                step = self._make_step(frozen)
            began = time.perf_counter()
            rate = self._rate(now.share, frozen)
            with enough_memory(plan.patches.batch):
                loss = world.from_main(step(self.progress.step, *batches.next(), rate))
            self._note(
                step=self.progress.step + 1,
                waited=waited_before + batches.waited,
                trained=self.progress.trained + time.perf_counter() - began,
                watch=self.progress.watch.after(loss),
            )
            if math.isfinite(loss):
                self.average.update(self.model, self.progress.step)
                meter.add(loss)
            if trouble := self.progress.watch.trouble(plan.watchdog):
                self._rewind(trouble)
            meter.report(self.progress, rate)

    def _agree(self, stop_asked: Callable[[], bool]) -> _Now:
        """What the clock of rank 0 says, and whether any rank was asked to stop."""
        own = np.zeros(len(_Now._fields))
        step = self.progress.step
        if self.job.world.is_main:
            self.pace.reached(step)
            share = self.pace.share(step)
            due = step > 0 and self.progress.judged != step and self.pace.validation_due(step)
            own[:] = self.pace.over(step), due, self.keeper.due, 0, share
        own[3] = stop_asked()
        return _Now(*self.job.world.total(own).tolist())

    def _rate(self, share: float, frozen: bool) -> float:
        plan, progress = self.job.plan, self.progress
        rate = learning_rate(share, plan.optimiser, progress.plateau.factor)
        if plan.freeze.encoder and not frozen:
            rate *= plan.freeze.learning_rate_after
        return rate * progress.watch.slowdown(progress.step, plan.watchdog)

    def _make_step(self, frozen: bool) -> Step:
        if self.encoder is not None:
            freeze(self.encoder, frozen)
        job = self.job
        return make_step(
            self.model,
            self.optimiser,
            self.scaler,
            job.plan,
            job.device,
            world=job.world,
            frozen=self.encoder if frozen else None,
        )

    def _make_batch(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        images, masks, maps = self.sampler.windows(number, self.slots)
        return torch.from_numpy(images), torch.from_numpy(masks), torch.from_numpy(maps)

    def _judge(self, *, extra: bool = False) -> None:
        self.progress = self.judge(self.average.model, self.progress, extra=extra)
        self._note()

    def _rewind(self, trouble: str) -> None:
        """Put weights and optimiser back to where all was well, and go on more slowly; DataError."""
        progress, plan = self.progress, self.job.plan
        known = progress.best_dice is not None
        if progress.watch.rewinds >= plan.watchdog.rewinds:
            raise gave_up(trouble, progress.watch, plan.optimiser.learning_rate, weights=known)
        for model in (self.model, self.average.model):
            model.load_state_dict(self.judge.good)
        self.optimiser.state.clear()
        if self.scaler.is_enabled():
            # refused steps have halved it until no gradient is left, and good ones hardly raise it
            self.scaler.update(_FIRST_SCALE)
        self._note(watch=progress.watch.rewind(progress.step))
        where = f"the weights of step {progress.best_step}" if known else "the first weights"
        rate = plan.watchdog.slower**self.progress.watch.rewinds
        self.say(
            "warning",
            step=progress.step,
            text=f"{trouble} at step {progress.step}: put back to {where}, learning rate times {rate:.3g}",
        )

    def _say_what_the_start_was_worth(self) -> None:
        """A training that could only gain never ends without gain without a word."""
        progress, floor = self.progress, self.progress.floor
        if floor is None or progress.score is None or progress.score > floor.score:
            return
        same = progress.best_step <= floor.step
        text = f"the weights are {'still' if same else 'no better than'} those that the training "
        text += f"went on with at step {floor.step}" if floor.step else "began with"
        text += f" (Dice {progress.best_dice:.4f})"
        if later := progress.validations - floor.validations:
            better = "as good" if same else "better"
            text += f": none of {later} validation{'s' * (later != 1)} since then was {better}"
        self.say("warning", text=text)

    @property
    def _models(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average.model}

    def _save(self) -> None:
        self._note(scaler=self.scaler.state_dict() if self.scaler.is_enabled() else {})
        self.keeper.keep(
            lambda: pack_state(self._models, self.judge.good, self.optimiser, self.progress),
            self.progress.step,
        )

    def _note(self, **changes: Any) -> None:
        self.progress = self.progress.model_copy(update=changes)
        self.progress = self.progress.model_copy(
            update={"share": self.pace.share(self.progress.step), "seconds": self.job.clock.elapsed}
        )
