"""Whether a training has gone wrong: gradients that are no numbers, or a loss that runs away.

All that is remembered is a few numbers that go into the checkpoint, so that a resume barks where an
uninterrupted training would have barked.
"""

import math

from pydantic import Field

from uvala.config import Config
from uvala.errors import DataError
from uvala.plan.optimiser_config import WatchdogConfig

__all__ = ["Watch", "gave_up"]

_SPAN = 25  # steps that the smoothed loss looks back over; fewer say nothing
_RAMP = 25  # steps after a rewind in which the rate rises: the optimiser's moments begin from nothing


class Watch(Config):
    """What the watchdog has seen. Losses: of steps whose gradient was a number, for all ranks together."""

    refused: int = Field(0, ge=0, description="steps in a row whose gradient was not a number")
    seen: int = Field(0, ge=0, description="losses since the beginning or the last rewind")
    average: float = Field(0.0, description="their exponential average, which begins at 0")
    first: float | None = Field(None, description="the very first loss")
    best: float | None = Field(None, description="lowest smoothed loss")
    rewinds: int = Field(0, ge=0, description="times that the training was put back")
    rewound: int | None = Field(None, description="step of the last rewind")

    @property
    def smoothed(self) -> float | None:
        """The smoothed loss; None until there are enough."""
        if self.seen < _SPAN:
            return None
        return self.average / (1 - (1 - 1 / _SPAN) ** self.seen)

    @property
    def informed(self) -> bool:
        """Whether enough has been seen to say anything."""
        return self.rewinds > 0 or self.smoothed is not None

    def after(self, loss: float) -> "Watch":
        """The state after one more step; loss: NaN where the step was refused."""
        if not math.isfinite(loss):
            return self.model_copy(update={"refused": self.refused + 1})
        changed = self.model_copy(
            update={
                "refused": 0,
                "seen": self.seen + 1,
                "average": self.average + (loss - self.average) / _SPAN,
                "first": loss if self.first is None else self.first,
            }
        )
        smoothed = changed.smoothed
        if smoothed is None or (self.best is not None and self.best <= smoothed):
            return changed
        return changed.model_copy(update={"best": smoothed})

    def trouble(self, config: WatchdogConfig) -> str | None:
        """What is wrong, as half a sentence; None if nothing is."""
        if self.refused >= config.refused:
            return f"a loss that is not a number in {self.refused} steps in a row"
        smoothed = self.smoothed
        if smoothed is None or self.first is None or self.best is None:
            return None
        # a loss below 0, which boundary losses can have, cannot be so many times as large
        limit = (
            config.divergence * self.best
            if self.best > 0
            else self.first + (config.divergence - 1) * abs(self.first)
        )
        # a nearly perfect fit multiplies its loss easily; that is no divergence while it is below its first
        if smoothed > max(limit, self.first):
            return f"a loss that rose from {self.best:.4g} to {smoothed:.4g}"
        return None

    def rewind(self, step: int) -> "Watch":
        """The state after the training was put back at `step`."""
        return Watch(first=self.first, best=self.best, rewinds=self.rewinds + 1, rewound=step)

    def slowdown(self, step: int, config: WatchdogConfig) -> float:
        """What the learning rate of `step` is multiplied by, above 0 and at most 1."""
        if self.rewound is None:
            return 1.0
        ramp = min(1.0, (step - self.rewound + 1) / _RAMP)
        return ramp * config.slower**self.rewinds


def gave_up(trouble: str, watch: Watch, learning_rate: float, *, weights: bool) -> DataError:
    """The error of a training that was put back as often as it may be; weights: whether some are kept."""
    times = f"{watch.rewinds} time{'s' * (watch.rewinds != 1)}"
    kept = "the best weights so far are kept" if weights else "no weights were worth keeping"
    return DataError(
        found=f"{trouble}, after the training was put back {times}" if watch.rewinds else trouble,
        expected="a finite loss that falls",
        fix=f"run `uvala check`, or set optimiser.learning_rate below {learning_rate:g}; {kept}",
    )
