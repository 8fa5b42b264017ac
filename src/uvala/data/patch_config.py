"""What one training step looks at."""

from pydantic import Field, model_validator

from uvala.config import Config

__all__ = ["PatchConfig"]


class PatchConfig(Config):
    """What one training step looks at."""

    size: int = Field(256, ge=16, description="side of a patch in pixels")
    batch: int = Field(4, ge=1, description="patches in one step")
    class_share: float = Field(
        0.33,
        ge=0,
        le=1,
        description="share of patches centred on a class drawn evenly, so that rare ones are seen",
    )
    object_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of patches around an object drawn evenly, so that small ones are seen as often as "
        "large ones",
    )

    @model_validator(mode="after")
    def _shares_of_one_whole(self) -> "PatchConfig":
        if self.class_share + self.object_share > 1 + 1e-9:
            raise ValueError(
                f"class_share {self.class_share} and object_share {self.object_share} add up to more than 1"
            )
        return self
