"""How strongly images are changed while training."""

from pydantic import Field, field_validator

from uvala.config import Config

__all__ = ["AugmentConfig"]

_LOGARITHMIC = "drawn evenly in the logarithm"


class AugmentConfig(Config):
    """Random changes of image and mask. Probabilities are per patch; black to white is a range of 2."""

    flip_vertical: bool = Field(True, description="mirror top to bottom, half of the time")
    flip_horizontal: bool = Field(True, description="mirror left to right, half of the time")
    quarter_turns: bool = Field(True, description="turn by a random multiple of 90 degrees")
    rotation: float = Field(180.0, ge=0, le=180, description="largest rotation to either side, degrees")
    rotation_probability: float = Field(
        0.5, ge=0, le=1, description="share of patches that are rotated freely"
    )
    scale: tuple[float, float] = Field(
        (0.75, 1.33), description=f"smallest and largest magnification, {_LOGARITHMIC}"
    )
    scale_probability: float = Field(0.5, ge=0, le=1, description="share of patches that are magnified")
    shear: float = Field(0.2, ge=0, le=1, description="largest shear to either side, pixels per pixel")
    shear_probability: float = Field(0.0, ge=0, le=1, description="share of patches that are sheared")
    elastic: float = Field(
        8.0, ge=0, description="standard deviation of the displacement of each point of a grid, pixels"
    )
    elastic_spacing: int = Field(64, ge=8, description="distance of the points of that grid, pixels")
    elastic_points: int = Field(
        0, ge=0, le=64, description="points of that grid along each side of a patch; 0: by their distance"
    )
    elastic_probability: float = Field(0.3, ge=0, le=1, description="share of patches that are bent")

    contrast: tuple[float, float] = Field(
        (0.75, 1.33), description=f"smallest and largest factor of the contrast, {_LOGARITHMIC}"
    )
    contrast_probability: float = Field(
        0.5, ge=0, le=1, description="share of patches whose contrast changes"
    )
    gain: tuple[float, float] = Field(
        (0.75, 1.25), description=f"smallest and largest factor of all values, {_LOGARITHMIC}"
    )
    gain_probability: float = Field(0.0, ge=0, le=1, description="share of patches that are multiplied")
    brightness: float = Field(0.2, ge=0, description="standard deviation of an offset of all values")
    brightness_probability: float = Field(
        0.5, ge=0, le=1, description="share of patches whose brightness changes"
    )
    colour: float = Field(0.1, ge=0, description="standard deviation of an offset of each channel by itself")
    colour_probability: float = Field(
        0.5, ge=0, le=1, description="share of patches whose channels shift against each other"
    )
    gamma: tuple[float, float] = Field(
        (0.7, 1.5), description=f"smallest and largest gamma, {_LOGARITHMIC}; mean and spread are kept"
    )
    gamma_inverted: float = Field(
        0.25, ge=0, le=1, description="share of those that are bent from the bright end instead of the dark"
    )
    gamma_probability: float = Field(0.3, ge=0, le=1, description="share of patches that get another gamma")
    blur: tuple[float, float] = Field(
        (0.3, 1.0),
        description=f"smallest and largest standard deviation of a Gaussian blur, pixels, {_LOGARITHMIC}",
    )
    blur_probability: float = Field(0.15, ge=0, le=1, description="share of patches that are blurred")
    sharpen: float = Field(
        1.0, ge=0, description="largest share of what a blur of 1 pixel takes away that is added instead"
    )
    sharpen_probability: float = Field(0.0, ge=0, le=1, description="share of patches that are sharpened")
    low_resolution: tuple[float, float] = Field(
        (0.5, 1.0),
        description=f"smallest and largest share of the resolution that is left, {_LOGARITHMIC}",
    )
    low_resolution_probability: float = Field(
        0.0, ge=0, le=1, description="share of patches that are made coarser and large again"
    )
    noise: float = Field(0.1, ge=0, description="largest standard deviation of added noise")
    noise_probability: float = Field(0.2, ge=0, le=1, description="share of patches that get noise")
    cutout: float = Field(
        0.25, gt=0, le=1, description="largest side of a rectangle that is hidden, share of the patch's side"
    )
    cutout_holes: int = Field(3, ge=1, le=64, description="rectangles that are hidden in one patch")
    cutout_probability: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of patches of which rectangles are hidden behind their mean; the mask stays",
    )

    cutmix_probability: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of patches into which a rectangle of the neighbouring patch of the step is put",
    )
    copy_paste_probability: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of patches onto whose background objects of the neighbouring patch are put; with "
        "targets.objects = weights the gaps between these and the patch's own weigh no more than background",
    )
    copy_paste_largest: float = Field(
        0.1, gt=0, le=1, description="largest object that is put into another patch, share of the patch"
    )

    @field_validator("scale", "contrast", "gain", "gamma", "blur", "low_resolution")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not 0 < bounds[0] <= bounds[1]:
            raise ValueError("write the smaller number first, and both above 0")
        return bounds

    @field_validator("low_resolution")
    @classmethod
    def _no_finer(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[1] > 1:
            raise ValueError("at most 1, the resolution as it is")
        return bounds
