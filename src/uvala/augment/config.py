"""How strongly images are changed while training."""

from pydantic import Field, field_validator

from uvala.config import Config

__all__ = ["AugmentConfig"]


class AugmentConfig(Config):
    """Random changes of image and mask. Probabilities are per patch."""

    flip_vertical: bool = Field(True, description="mirror top to bottom, half of the time")
    flip_horizontal: bool = Field(True, description="mirror left to right, half of the time")
    rotation: float = Field(180.0, ge=0, le=180, description="largest rotation to either side, degrees")
    rotation_probability: float = Field(
        0.5, ge=0, le=1, description="share of patches that are rotated freely"
    )
    quarter_turns: bool = Field(True, description="turn by a random multiple of 90 degrees")
    scale: tuple[float, float] = Field((0.75, 1.33), description="smallest and largest magnification")
    scale_probability: float = Field(0.5, ge=0, le=1, description="share of patches that are magnified")
    shear: float = Field(0.0, ge=0, le=1, description="largest shear to either side, pixels per pixel")
    elastic: float = Field(8.0, ge=0, description="typical elastic displacement, pixels")
    elastic_spacing: int = Field(64, ge=8, description="distance of the points that are displaced, pixels")
    elastic_probability: float = Field(0.3, ge=0, le=1, description="share of patches that are bent")
    brightness: float = Field(0.2, ge=0, description="standard deviation of an offset; black to white is 2")
    contrast: float = Field(0.25, ge=0, description="standard deviation of the log2 of the contrast")
    gamma: float = Field(0.25, ge=0, description="standard deviation of the log2 of gamma")
    colour: float = Field(0.1, ge=0, description="standard deviation of an offset of each channel by itself")
    intensity_probability: float = Field(
        0.7, ge=0, le=1, description="share of patches whose intensities change"
    )
    noise: float = Field(
        0.1, ge=0, description="largest standard deviation of added noise; black to white is 2"
    )
    noise_probability: float = Field(0.2, ge=0, le=1, description="share of patches that get noise")
    blur: float = Field(1.0, ge=0, description="largest standard deviation of a Gaussian blur, pixels")
    blur_probability: float = Field(0.15, ge=0, le=1, description="share of patches that are blurred")

    @field_validator("scale")
    @classmethod
    def _ascending(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError("write the smaller magnification first, and both above 0")
        return scale
