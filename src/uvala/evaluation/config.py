"""How predictions are scored: the settings of an evaluation, and the only place of their defaults."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from uvala.config import Config
from uvala.errors import ConfigError

__all__ = ["EvaluationConfig", "TaskWish"]

TaskWish = Literal["auto", "semantic", "membranes", "instances"]
_TOLERATED = 2.0  # pixels: what two careful people differ by when they draw one outline twice


class EvaluationConfig(Config):
    """Settings of an evaluation."""

    task: TaskWish = Field(
        "auto",
        description="semantic, membranes or instances, which decides the main score; auto: by the masks",
    )
    spacing: tuple[float, float] = Field(
        (1.0, 1.0), description="size of a pixel as SIZE or ROW,COLUMN, in the unit that --unit names"
    )
    unit: str = Field("px", min_length=1, description="unit of spacing, tolerance and distances, such as um")
    tolerance: float | None = Field(
        None, gt=0, description="how far apart outlines still count as one, in that unit; none: 2 pixels"
    )
    outlines: bool = Field(True, description="measure how far outlines are apart, which takes the most time")
    topology: Literal["auto", "all", "none"] = Field(
        "auto", description="classes whose connections are measured; auto: thin ones, such as vessels"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="how often an interval should hold the truth")
    resamples: int = Field(2000, ge=100, description="how often images are drawn again for an interval")
    seed: int = Field(0, ge=0, description="seed of these draws")

    @field_validator("spacing", mode="before")
    @classmethod
    def _both_sides(cls, value: Any) -> Any:
        """'0.5', '0.5,0.4', 0.5 and (0.5, 0.4) alike; ConfigError for what is no size."""
        parts = value.split(",") if isinstance(value, str) else value
        try:
            sides = [float(part) for part in (parts if isinstance(parts, list | tuple) else [parts])]
        except (TypeError, ValueError):
            sides = []
        if len(sides) not in (1, 2) or not all(0 < side < float("inf") for side in sides):
            raise ConfigError(
                found=f"spacing {value!r}",
                expected="a size above 0, or two such as 0.5,0.4",
                fix="give the size of a pixel as SIZE or ROW,COLUMN",
            )
        return sides * 2 if len(sides) == 1 else sides

    @model_validator(mode="after")
    def _spacing_has_a_unit(self) -> Self:
        if self.spacing != (1.0, 1.0) and self.unit == "px":
            raise ConfigError(
                found=f"spacing {self.spacing[0]:g},{self.spacing[1]:g} without a unit",
                expected="the unit that the size of a pixel is in",
                fix="name it, too, such as --unit um",
            )
        return self

    @property
    def tolerated(self) -> float:
        """`tolerance`, or 2 pixels of middling side, in `unit`."""
        if self.tolerance is not None:
            return self.tolerance
        return _TOLERATED * float((self.spacing[0] * self.spacing[1]) ** 0.5)
