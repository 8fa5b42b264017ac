"""Which losses are summed, and how much each counts."""

from pydantic import Field, model_validator

from uvala.config import Config

__all__ = ["LossConfig"]


class LossConfig(Config):
    """A sum of losses. Pixels marked as ignored count in none of them."""

    cross_entropy: float = Field(1.0, ge=0, description="weight of the cross-entropy")
    dice: float = Field(1.0, ge=0, description="weight of the soft Dice loss over the whole batch")
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="share of the target that is spread over all classes in the cross-entropy",
    )
    class_weights: tuple[float, ...] = Field(
        (), description="weight of each class in the cross-entropy, mean 1; empty: all alike"
    )

    distance: float = Field(
        # at 1 the mean inside objects is all that is learnt in some hundred steps
        5.0,
        ge=0,
        description="weight of the error of the distance to an object's outline, where it is learnt",
    )

    @model_validator(mode="after")
    def _something_is_minimised(self) -> "LossConfig":
        if self.cross_entropy + self.dice <= 0:
            raise ValueError("at least one of cross_entropy and dice must be above 0")
        return self
