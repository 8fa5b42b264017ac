"""How far a training is, when it ends and when it validates: by steps, or by the clock.

By steps everything is a function of the step's number, so two runs with one seed are the same. By the clock
the end of the schedule is the end of the budget, less what validation, scoring and the report will take.
"""

import math
import time
from typing import Protocol

from uvala.plan.budget import Clock
from uvala.plan.schema import ValidationConfig

__all__ = ["BudgetPace", "Pace", "StepPace"]

_EARLY = 0.04  # share of the training before the first validation, so that an early stop finds some weights
_MOST_RESERVED = 0.35  # share of a budget that may be kept for what follows the training
_SLACK = 1.1  # the machine may be busier when the reserve is needed
_MOST_OVERRUN, _MOST_OVERRUN_SECONDS = 0.02, 5.0  # of a budget, or in seconds if that is more: what may pass


class Pace(Protocol):
    """What the loop asks."""

    def reached(self, step: int) -> None:
        """Take note that `step` steps are done and the next one may begin."""

    def share(self, step: int) -> float:
        """Share of the training done after `step` steps, 0 to 1, never falling."""

    def over(self, step: int) -> bool:
        """Whether the training ends here."""

    def validation_due(self, step: int) -> bool:
        """Whether to validate after `step` steps."""

    def validated(self, step: int, seconds: float, seconds_per_pixel: float) -> None:
        """Take note of a validation after `step` steps; seconds_per_pixel: of one device."""

    @property
    def validation_limit(self) -> float:
        """Seconds that one validation may take."""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end of the whole command; None if nobody knows."""


class StepPace:
    """A training of `length` steps."""

    validation_limit = float("inf")

    def __init__(self, length: int, config: ValidationConfig, done: int = 0) -> None:
        self.length = length
        self.every = math.ceil(length / config.rounds)
        self._done = self._step = done
        self._began = time.monotonic()

    def reached(self, step: int) -> None:
        """Take note of it for the time that is left."""
        self._step = step

    def share(self, step: int) -> float:
        """Share of the steps done."""
        return min(1.0, step / self.length)

    def over(self, step: int) -> bool:
        """Whether all steps are done."""
        return step >= self.length

    def validation_due(self, step: int) -> bool:
        """At every n-th step, and the last."""
        return step % self.every == 0 or step == self.length

    def validated(self, step: int, seconds: float, seconds_per_pixel: float) -> None:
        """Nothing to learn: the steps decide."""

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first step."""
        if self._step <= self._done:
            return None
        elapsed = time.monotonic() - self._began
        return elapsed / (self._step - self._done) * (self.length - self._step)


class BudgetPace:
    """A training that ends when the time ends.

    done: share of the training that was done before a resume. pixels_after, seconds_after: what is still to
    be predicted, and how long all else takes, after the last step. validation_seconds, seconds_per_pixel:
    what the last validation before a resume took; step_seconds: what a step took then.
    """

    def __init__(
        self,
        clock: Clock,
        config: ValidationConfig,
        *,
        done: float,
        pixels_after: int,
        seconds_after: float,
        validation_seconds: float = 0.0,
        seconds_per_pixel: float = 0.0,
        step_seconds: float = 0.0,
    ) -> None:
        assert clock.budget is not None
        self.clock = clock
        self.budget = clock.budget
        self.config = config
        self.pixels_after = pixels_after
        self.seconds_after = seconds_after
        self._done = self._share = done
        self._began = clock.elapsed
        self._next_validation = done + _EARLY if done == 0 else done + 1 / config.rounds
        self._validation_seconds = validation_seconds
        self._seconds_per_pixel = seconds_per_pixel
        self._last = (-1, 0.0)  # step that was reached last, and when
        self._step_seconds = step_seconds

    def reached(self, step: int) -> None:
        """Measure the step before. Called again, it leaves out of the next one what came between."""
        now = self.clock.elapsed
        if step == self._last[0] + 1:
            self._step_seconds = now - self._last[1]
        self._last = step, now

    def share(self, step: int) -> float:
        """Share of the training time that is used up."""
        used, whole = self.clock.elapsed - self._began, self._end - self._began
        now = self._done + (1 - self._done) * used / whole if used < whole else 1.0
        self._share = max(self._share, now)
        return self._share

    def over(self, step: int) -> bool:
        """Whether the time for training is used up; never before the first step.

        To the nearest step, unless half a step would be too much: then none begins that would end late.
        """
        half = self._step_seconds / 2
        late = half if half <= max(_MOST_OVERRUN * self.budget, _MOST_OVERRUN_SECONDS) else 0.0
        ends = self.clock.elapsed + self._step_seconds - late
        return step > 0 and (self.share(step) >= 1.0 or ends >= self._end)

    def validation_due(self, step: int) -> bool:
        """When the share of time that validations may take allows another, before the one at the end."""
        left = self._end - self.clock.elapsed
        return self._next_validation <= self.share(step) < 1.0 and left > 2 * self._validation_seconds

    def validated(self, step: int, seconds: float, seconds_per_pixel: float) -> None:
        """Learn from a validation how long the rest will take, and when the next one is due."""
        self._validation_seconds = seconds
        self._seconds_per_pixel = seconds_per_pixel
        pause = (1 - self._done) * seconds / (self.config.time_share * max(1e-6, self._end - self._began))
        self._next_validation = self.share(step) + max(pause, 1 / self.config.rounds)

    @property
    def validation_limit(self) -> float:
        """Seconds for one of about half the validations that the share of time allows."""
        return max(1.0, self.budget * self.config.time_share / (self.config.rounds / 2))

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the budget ends."""
        return max(0.0, self.clock.remaining)

    @property
    def _end(self) -> float:
        """When the last step must be done, on the clock."""
        scoring = self._seconds_per_pixel * self.pixels_after
        reserve = self.seconds_after + _SLACK * (self._validation_seconds + scoring)
        return self.budget - min(reserve, _MOST_RESERVED * self.budget)
