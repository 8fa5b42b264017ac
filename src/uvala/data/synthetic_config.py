"""The settings of the sample data."""

from pydantic import Field

from uvala.config import Config

__all__ = ["SyntheticConfig"]


class SyntheticConfig(Config):
    """What `uvala sample-data` draws."""

    count: int = Field(
        32, ge=1, le=100_000, description="number of images; more do not change the earlier ones"
    )
    size: int = Field(256, ge=64, le=2048, description="height and width of each image, pixels")
    seed: int = Field(0, ge=0, description="another seed draws other cells")
