"""How a training goes, said a few times a second."""

import time

from uvala.training.pace import Pace
from uvala.training.progress import Progress
from uvala.training.voice import Voice

__all__ = ["Meter"]

_SECONDS = 0.5


class Meter:
    """Gathers losses and says their mean now and then. batch: patches of a step."""

    def __init__(self, say: Voice, pace: Pace, batch: int) -> None:
        self.say = say
        self.pace = pace
        self.batch = batch
        self.restart()

    def restart(self) -> None:
        """Begin a new interval, such as after a validation."""
        self.began = time.monotonic()
        self.losses: list[float] = []

    def add(self, loss: float) -> None:
        """Take note of the loss of a step that was not refused."""
        self.losses.append(loss)

    def report(self, progress: Progress, rate: float) -> None:
        """Say the mean loss since the last report, if it is time to."""
        seconds = time.monotonic() - self.began
        if not self.losses or (seconds < _SECONDS and not self.pace.over(progress.step)):
            return
        self.say(
            "step",
            step=progress.step,
            share=round(progress.share, 4),
            loss=round(sum(self.losses) / len(self.losses), 6),
            learning_rate=rate,
            images_per_second=round(len(self.losses) * self.batch / max(seconds, 1e-9), 2),
            seconds_left=self.pace.seconds_left,
        )
        self.restart()
