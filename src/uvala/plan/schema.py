"""The plan: every setting of a training, resolved; kept in the run folder, and readable by people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from uvala.augment.config import AugmentConfig
from uvala.config import Config, build, flat, override, read_toml, to_toml
from uvala.data.normalisation import Normalisation
from uvala.data.patch_config import PatchConfig
from uvala.data.target_config import TargetConfig
from uvala.files import write_text
from uvala.losses.config import LossConfig
from uvala.plan.budget import DEFAULT, LEAST
from uvala.plan.execution_config import ExecutionConfig
from uvala.plan.optimiser_config import FreezeConfig, OptimiserConfig, WatchdogConfig
from uvala.tiling.config import TileConfig
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = [
    "ExecutionConfig",
    "FreezeConfig",
    "LengthConfig",
    "ModelConfig",
    "OptimiserConfig",
    "Plan",
    "TestTimeConfig",
    "ValidationConfig",
    "WatchdogConfig",
    "plan_of",
    "plan_values",
    "read_plan",
    "write_plan",
]


class ModelConfig(Config):
    """Which network, with which of its options."""

    name: str = Field("unet", description="name of the network; `uvala models` lists them")
    options: dict[str, Any] = Field(default_factory=dict, description="options of that network")


class LengthConfig(Config):
    """How long the training lasts: a time, or a number of steps, or a number of epochs."""

    budget: float | None = Field(
        None,
        ge=LEAST,
        description=f"wall-clock time of the whole command, seconds; {DEFAULT} where nobody says how long",
    )
    steps: int | None = Field(None, ge=1, description="number of training steps")
    epochs: float | None = Field(
        None, gt=0, description="number of times that patches cover the area of the training images"
    )

    @model_validator(mode="after")
    def _one_length(self) -> "LengthConfig":
        if sum(length is not None for length in (self.budget, self.steps, self.epochs)) > 1:
            raise ValueError("give one of budget, steps and epochs, not several")
        return self


class ValidationConfig(Config):
    """How often, and on how much, the network is scored while it trains."""

    time_share: float = Field(0.08, gt=0, lt=1, description="share of the time that validation may take")
    rounds: int = Field(
        20, ge=1, description="validations in a training of fixed length; most in one by budget"
    )


class Plan(Config):
    """Every setting of a training."""

    seed: int = Field(
        0, ge=0, lt=2**32, description="seed of the split, the first weights and every random draw"
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="auto, cpu, cuda or mps")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="number format of the convolutions; auto: half precision on CUDA, float32 elsewhere",
    )
    length: LengthConfig = LengthConfig()
    tracking: Literal["none", "tensorboard", "mlflow"] = Field(
        "none", description="where curves also go: tensorboard or mlflow, in the run folder; each is an extra"
    )
    folds: int = Field(
        1, ge=1, le=20, description="parts of a cross-validation, with a network each; 1: a single network"
    )
    model: ModelConfig = ModelConfig()
    patches: PatchConfig = PatchConfig()
    targets: TargetConfig = TargetConfig()
    normalisation: Normalisation = Normalisation()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    freeze: FreezeConfig = FreezeConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    execution: ExecutionConfig = ExecutionConfig()
    validation: ValidationConfig = ValidationConfig()
    tiles: TileConfig = TileConfig()
    test_time: TestTimeConfig = TestTimeConfig()


def plan_of(settings: Mapping[str, Any], *, where: str) -> Plan:
    """A plan with these settings, by dotted path, and the defaults; ConfigError where they do not fit.

    Beside a wish for patches around objects no share is of the classes, until it is decided.
    """
    # the default would not leave room for every wish
    room = {"patches.class_share": 0.0} if "patches.object_share" in settings else {}
    return override(Plan(), {**room, **settings}, where=where)


def plan_values(plan: Plan) -> dict[str, Any]:
    """Each setting by its dotted path, the network's options one by one."""
    return flat(plan.model_dump(mode="json"))


def write_plan(path: Path, plan: Plan, reasons: Mapping[str, str]) -> None:
    """Write a plan as TOML, with the reason of each decision above it."""
    write_text(path, to_toml(plan, reasons))


def read_plan(path: Path) -> Plan:
    """The plan of a TOML file; ConfigError on anything that is not one."""
    return build(Plan, read_toml(path), where=str(path))
