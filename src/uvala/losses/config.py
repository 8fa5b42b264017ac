"""Which losses are summed, and how much each counts."""

from typing import Literal

from pydantic import Field, FiniteFloat, NonNegativeInt, field_validator, model_validator

from uvala.config import Config

__all__ = ["LossConfig"]

_ENOUGH = ("cross_entropy", "binary_cross_entropy", "focal", "dice", "tversky", "lovasz")
"""Terms that can stand alone; clDice and the boundary loss also fall when nothing is found at all."""


class LossConfig(Config):
    """A sum of losses. Pixels marked as ignored count in none of them."""

    cross_entropy: float = Field(1.0, ge=0, description="weight of the cross-entropy")
    binary_cross_entropy: float = Field(
        0.0, ge=0, description="weight of the cross-entropy of each class against all others, by a sigmoid"
    )
    focal: float = Field(
        0.0, ge=0, description="weight of the focal loss: cross-entropy that turns to what is still wrong"
    )
    dice: float = Field(1.0, ge=0, description="weight of the soft Dice loss")
    tversky: float = Field(
        0.0, ge=0, description="weight of the Tversky loss: Dice in which missed pixels can cost more"
    )
    lovasz: float = Field(
        0.0, ge=0, description="weight of the Lovasz loss, which is the intersection over union of an image"
    )
    cldice: float = Field(
        0.0,
        ge=0,
        description="weight of the clDice loss: lines hang together; only for thin structures, beside others",
    )
    boundary: float = Field(
        0.0,
        ge=0,
        description="weight of the boundary loss: how many pixels off the outline is; start at 0.01, beside "
        "others",
    )
    distance: float = Field(
        # at 1 the mean inside objects is all that is learnt in some hundred steps
        5.0,
        ge=0,
        description="weight of the error of the distance to an object's outline, where it is learnt",
    )

    class_weights: tuple[FiniteFloat, ...] = Field(
        (),
        description="weight of each class in the cross-entropies and the focal loss, of which only the "
        "ratios matter; empty: alike",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="share of the target that is spread over all classes in the cross-entropies",
    )
    hard_pixels: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of an image's pixels, the hardest, that count in the cross-entropies and the "
        "focal loss",
    )
    hard_pixels_least: int = Field(
        1024, ge=1, description="pixels of an image that count in any case where hard_pixels is below 1"
    )
    focal_gamma: float = Field(
        2.0, ge=0, le=10, description="focal: how much less is learnt from what is right already; 0: as much"
    )
    dice_over: Literal["batch", "sample"] = Field(
        "batch", description="Dice and Tversky: over the whole batch at once, or the mean of its samples"
    )
    dice_background: bool = Field(True, description="Dice: whether class 0 counts")
    tversky_alpha: float = Field(0.3, ge=0, le=1, description="Tversky: cost of a false positive pixel")
    tversky_beta: float = Field(0.7, ge=0, le=1, description="Tversky: cost of a missed pixel")
    tversky_gamma: float = Field(
        1.0, ge=1, le=3, description="Tversky: above 1 it is the focal Tversky loss, 4/3 in its paper"
    )
    cldice_iterations: int = Field(
        5, ge=1, le=100, description="clDice: half the width of the widest thin structure, pixels"
    )
    cldice_classes: tuple[NonNegativeInt, ...] = Field(
        (), description="clDice: numbers of the thin classes; empty: all but class 0"
    )

    @field_validator("class_weights")
    @classmethod
    def _some_weight_and_none_negative(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        # a mean is divided by the sum of its weights: one below 0 turns it round, or lets it explode
        if weights and (min(weights) < 0 or not any(weights)):
            raise ValueError("no weight may be below 0, and one at least must be above")
        return weights

    @model_validator(mode="after")
    def _something_is_minimised(self) -> "LossConfig":
        if not any(getattr(self, name) for name in _ENOUGH):
            raise ValueError(f"at least one of {', '.join(_ENOUGH)} must be above 0")
        if self.tversky and not self.tversky_alpha + self.tversky_beta:
            raise ValueError("tversky_alpha or tversky_beta must be above 0: else nothing costs anything")
        return self
