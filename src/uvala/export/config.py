"""The settings of an export."""

from pydantic import Field

from uvala.config import Config
from uvala.prediction.file_kinds import Target

__all__ = ["ExportConfig"]


class ExportConfig(Config):
    """What is written, and what has to be true of it."""

    to: Target = Field("onnx", description="kind of file: onnx, openvino, torch (.pt2) or bioimageio")
    mask: bool = Field(
        False, description="also give the likeliest class of each pixel, as a second output of the file"
    )
    int8: bool = Field(
        False,
        description="weights and activations of 8 bits, calibrated on images trained on; onnx and openvino",
    )
    fold: int | None = Field(
        None, ge=1, description="the network of one fold alone, from 1; none: their mean"
    )
    most_difference: float = Field(
        # float32 sums in another order differ by 1e-6 to 1e-5 in a probability
        1e-3,
        gt=0,
        description="largest difference of a probability from PyTorch's; more is not written",
    )
    least_agreement: float = Field(
        0.9999, gt=0, le=1, description="share of pixels whose class has to be PyTorch's; less is not written"
    )
    most_dice_lost: float = Field(
        0.005, ge=0, description="Dice on validation images that 8 bits may cost; more is not written"
    )
    calibration_images: int = Field(
        # more than 300 tiles change the ranges of activations no further
        100,
        ge=1,
        description="images trained on that 8 bits are calibrated with, at most",
    )
