"""What is written of each image. Imports nothing heavy: the command line reads its help from here."""

from typing import Literal

from pydantic import Field

from uvala.config import Config

__all__ = ["FileFormat", "Precision", "Wanted"]

FileFormat = Literal["auto", "png", "tiff", "zarr"]
Precision = Literal["auto", "uint8", "float16", "float32"]


class Wanted(Config):
    """Files besides the masks, and the form of all of them."""

    format: FileFormat = Field(
        "auto",
        description="of masks, png, tiff (tiled OME-TIFF with a pyramid) or zarr (OME-Zarr); auto is png, and"
        " tiff for images that are large or georeferenced",
    )
    probabilities: bool = Field(False, description="also write the probability of each class")
    uncertainty: bool = Field(
        False,
        description="also write how undecided each pixel is, the entropy in 0 to 1, and how much of that"
        " comes from networks or views that disagree",
    )
    precision: Precision = Field(
        "auto",
        description="of probabilities and uncertainty, uint8 (0 to 255), float16 or float32; auto is float32,"
        " and uint8 for large images",
    )
    overlays: bool = Field(False, description="also write the classes in colour over the image")
    objects: tuple[str, ...] = Field((), description="kinds of files that objects are written as")
