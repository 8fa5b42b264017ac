"""The learning rate as a function of progress, whether progress is counted in steps or in seconds."""

import math

from pydantic import Field

from uvala.config import Config
from uvala.plan.optimiser_config import OptimiserConfig

__all__ = ["Plateau", "learning_rate"]


class Plateau(Config):
    """What the plateau schedule remembers: it lowers the rate when validation stops rising."""

    best: float | None = Field(None, description="highest score of a validation so far")
    borne: int = Field(0, ge=0, description="validations in a row that were not better")
    factor: float = Field(1.0, gt=0, description="what the learning rate is multiplied by")

    def after(self, score: float, config: OptimiserConfig) -> "Plateau":
        """The state after a validation with that score."""
        if self.best is None or score > self.best:
            return Plateau(best=score, factor=self.factor)
        if self.borne < config.patience:
            return self.model_copy(update={"borne": self.borne + 1})
        # never 0: the factor is below 1 and may be applied any number of times
        return Plateau(best=self.best, factor=max(self.factor * config.factor, 1e-12))


def learning_rate(progress: float, config: OptimiserConfig, plateau: float = 1.0) -> float:
    """Learning rate at `progress` (0 to 1): linear warm-up, then what `config.schedule` says.

    cosine: half a cosine down to `lowest`, Loshchilov and Hutter (2017), arXiv:1608.03983, without restarts.
    polynomial: (1 - progress) ** power down to 0, Liu et al. (2015), arXiv:1506.04579. plateau: the highest
    rate times the argument of that name, which is the factor of a `Plateau`.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < config.warmup:
        # never 0: the first step would be lost
        return config.learning_rate * max(progress / config.warmup, 0.01)
    rest = (progress - config.warmup) / (1 - config.warmup)
    match config.schedule:
        case "cosine":
            falling = 0.5 * (1 + math.cos(math.pi * rest))
            return config.learning_rate * (config.lowest + (1 - config.lowest) * falling)
        case "polynomial":
            return config.learning_rate * (1 - rest) ** config.power
        case "constant":
            return config.learning_rate
        case "plateau":
            return config.learning_rate * plateau
