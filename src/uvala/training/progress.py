"""Where a training is: what a checkpoint says besides its tensors."""

from pydantic import Field

from uvala.config import Config
from uvala.plan.schema import LengthConfig
from uvala.training.schedule import Plateau
from uvala.training.watchdog import Watch

__all__ = ["Floor", "Progress"]


class Floor(Config):
    """The weights that a training begins with, or goes on with for longer: no worse ones take their place."""

    score: float = Field(0.0, description="of their validation")
    step: int = Field(0, ge=0, description="steps done then")
    validations: int = Field(0, ge=0, description="validations done then")


class Progress(Config):
    """Where a training is. What step n sees follows from n, so that is the sampler's position, too."""

    step: int = Field(0, ge=0, description="steps done")
    share: float = Field(0.0, ge=0, le=1, description="share of the training done, by time or by steps")
    seconds: float = Field(0.0, ge=0, description="wall-clock time used so far")
    trained: float = Field(0.0, ge=0, description="seconds of it in training steps, waiting included")
    waited: float = Field(0.0, ge=0, description="seconds of those spent waiting for data")
    best_step: int = Field(0, ge=0, description="step of the best weights")
    best_share: float = Field(0.0, ge=0, le=1, description="share of the training that was done then")
    best_dice: float | None = Field(None, description="validation Dice of the best weights")
    best_score: float | None = Field(
        None, description="what they were chosen by: that Dice, and how well objects are told apart"
    )
    floor: Floor | None = Field(None, description="below which no weights are kept; none: fresh weights")
    length: LengthConfig | None = Field(
        None, description="of the training that its validations are made for; none: not decided yet"
    )
    given: bool = Field(False, description="whether it began with weights that were given to it")
    validations: int = Field(0, ge=0, description="validations done, and hence in the log")
    judged: int | None = Field(None, description="step of the last of them")
    validated: int = Field(0, ge=0, description="images that each validation looks at; 0: not decided yet")
    validation_seconds: float = Field(0.0, ge=0, description="how long the last one took")
    seconds_per_pixel: float = Field(0.0, ge=0, description="of a validation on one device")
    alarmed: bool = Field(False, description="whether it was said that only one class is predicted")
    plateau: Plateau = Plateau()
    watch: Watch = Watch()
    scaler: dict[str, int | float] = Field(
        default_factory=dict, description="scale of the loss in float16 training, and when it changes"
    )

    @property
    def score(self) -> float | None:
        """What the best weights were chosen by; None before the first validation."""
        return self.best_dice if self.best_score is None else self.best_score

    @property
    def data_share(self) -> float | None:
        """Share of the time in training steps that was spent waiting for data; None before the first."""
        return self.waited / self.trained if self.trained else None

    @property
    def steps_per_second(self) -> float | None:
        """Training steps in a second, validations not counted; None before the first."""
        return self.step / self.trained if self.trained else None
