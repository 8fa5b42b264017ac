"""Validation while training: when the weights are the best so far, they are kept."""

import copy
import math
import random
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from uvala.data.sample import Sample
from uvala.data.store import ImageStore
from uvala.training.alarm import likely_cause
from uvala.training.job import Job
from uvala.training.pace import Pace
from uvala.training.progress import Progress
from uvala.training.schedule import Plateau
from uvala.training.validate import Validation, validate
from uvala.training.voice import Voice

__all__ = ["Judge", "copied", "is_best"]

_LATE = 0.5  # share of a training from which weights count as late
_CLEARLY = 1.1  # times the error of the best early weights; late ones below that are preferred
_ALARM_SHARE = 0.1  # of a training, after which a network should predict more than one class
_EXTRA_SECONDS = 5.0  # at most for the validation of a stop: who presses Ctrl-C wants the result soon


class Judge:
    """Validates a network and keeps its best weights.

    good: the best weights so far, or those that the training began with; on the network's device.
    """

    def __init__(self, job: Job, store: ImageStore, pace: Pace, say: Voice, good: dict[str, Tensor]) -> None:
        self.job = job
        self.store = store
        self.pace = pace
        self.say = say
        self.good = good
        # in a random order, so that those which a time limit allows are a fair sample
        self.samples = random.Random(job.plan.seed).sample(list(job.validation), len(job.validation))

    def __call__(self, model: nn.Module, progress: Progress, *, extra: bool = False) -> Progress:
        """Validate `model` and write its weights if none were better; where the training is then.

        extra: an uninterrupted training would not have made this one. StorageError if the weights cannot be
        written; the old ones are then still there.
        """
        job = self.job
        limit = math.inf if progress.validated else self.pace.validation_limit
        if extra:
            limit = min(limit, _EXTRA_SECONDS)
        samples = self.samples[: progress.validated or len(self.samples)]
        found, changes = self._validated(model, progress.step, samples, limit)
        changes |= {
            "judged": progress.step,
            "validations": progress.validations + 1,
            "plateau": progress.plateau.after(found.score, job.plan.optimiser),
        }
        # rank 0 decides: by time, each rank's share of the training is that of a clock of its own
        best = bool(job.world.from_main(is_best(found.score, progress)))
        if best:
            if job.world.is_main:
                job.run.write_weights(model.state_dict(), step=progress.step, chosen=not extra)
            self.good = copied(model)
            changes |= {
                "best_step": progress.step,
                "best_share": progress.share,
                "best_dice": found.mean_dice,
                "best_score": found.score,
            }
        self.say(
            "validation",
            step=progress.step,
            mean_dice=found.mean_dice,
            dice=found.dice,
            score=found.score,
            best=best,
            images=found.images,
            seconds=round(found.seconds, 3),
            **({"extra": True} if extra else {}),
        )
        changes["alarmed"] = progress.alarmed or self._alarm(found, progress)
        return progress.model_copy(update=changes)

    def again(self, model: nn.Module, progress: Progress) -> Progress:
        """Decide anew how many images are looked at, and score the kept weights on these.

        For a training that has another length than before. model: a network of their kind, left as it is.
        """
        all_seen = progress.validated == len(self.samples)
        if all_seen and progress.validation_seconds <= self.pace.validation_limit:
            return progress
        kept = copy.deepcopy(model)
        kept.load_state_dict(self.good)
        found, changes = self._validated(kept, progress.step, self.samples, self.pace.validation_limit)
        text = f"validations look at {found.images} images instead of {progress.validated}, on which the "
        text += f"weights of step {progress.best_step} have a Dice of {found.mean_dice:.4f}"
        self.say("note", text=text)
        changes |= {
            "best_dice": found.mean_dice,
            "best_score": found.score,
            "plateau": Plateau(best=found.score, factor=progress.plateau.factor),
        }
        return progress.model_copy(update=changes)

    def agree_with_folder(self, progress: Progress) -> None:
        """Put the best weights of a checkpoint into the run folder where there are others."""
        if progress.best_dice is None or not self.job.world.is_main:
            return
        if self.job.run.weights_step != progress.best_step:
            # it was killed between writing the two, or the older checkpoint is used
            self.job.run.write_weights(self.good, step=progress.best_step)

    def _validated(
        self, model: nn.Module, step: int, samples: Sequence[Sample], limit: float
    ) -> tuple[Validation, dict[str, Any]]:
        """Validate for `limit` seconds at most and tell the pace; the result, and what to remember of it."""
        job = self.job
        found = validate(
            model, self.store, samples, job.network, job.plan.tiles, job.device, limit, job.world
        )
        seconds_per_pixel = found.seconds * job.world.size / max(1, found.pixels)
        self.pace.validated(step, found.seconds, seconds_per_pixel)
        return found, {
            "validated": found.images,
            "validation_seconds": found.seconds,
            "seconds_per_pixel": seconds_per_pixel,
        }

    def _alarm(self, found: Validation, progress: Progress) -> bool:
        """Say that only one class is predicted where there are several, and why that may be."""
        young = progress.share < _ALARM_SHARE or not progress.watch.informed
        if young or len(found.predicted) != 1 or len(found.present) < 2:
            return False
        names = self.job.dataset.encoding.names
        shares = self.job.dataset.facts_of(self.job.training).class_shares
        name, rate = names[found.predicted[0]], self.job.plan.optimiser.learning_rate
        cause = likely_cause(name, dict(zip(names, shares, strict=False)), progress.watch, rate)
        text = f"the network still predicts nothing but '{name}': {cause}"
        self.say("warning", step=progress.step, text=text)
        return True


def is_best(score: float, progress: Progress) -> bool:
    """Whether weights with this score are to be kept, in place of the best so far.

    Of equals the later ones: on an easy task Dice is perfect long before probabilities are. Weights of the
    first half of a training must be clearly better than later ones, whose learning rate has come down: few
    images, or a single group of them, say of early weights what chance says. None may be worse than the
    weights that the training began with, or had when it was lengthened.
    """
    before, floor = progress.score, progress.floor
    if before is None or score >= before:
        return True
    if floor is not None and score < floor.score:
        return False
    return progress.best_share < _LATE <= progress.share and 1 - score <= _CLEARLY * (1 - before)


def copied(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of `model` as it is now."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}
