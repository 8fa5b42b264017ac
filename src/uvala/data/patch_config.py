"""What one training step looks at."""

from pydantic import Field

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
