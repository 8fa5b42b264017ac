"""How probabilities become objects. Imports nothing heavy: the command line reads its help from here."""

from typing import Literal

from pydantic import Field

from uvala.arrays import MAX_CLASSES
from uvala.config import Config

__all__ = ["Method", "ObjectConfig"]

Method = Literal["components", "watershed", "probability", "borders", "distance"]
"""From the simplest to the one that asks most of the network."""


class ObjectConfig(Config):
    """From class probabilities to numbered objects. The defaults lose nothing and separate nothing."""

    method: Method = Field(
        "components",
        description="how touching objects are told apart: components (not at all), watershed (at the necks of"
        " their shape), probability (where it falls between two of its peaks), borders (the network predicts"
        " outlines), distance (it predicts the distance to them)",
    )
    object_class: int = Field(
        1, ge=0, lt=MAX_CLASSES, description="index of the class whose pixels are objects"
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="a pixel belongs to an object above this probability"
    )
    seed_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="probability, borders, distance: an object begins where the probability, that of its"
        " interior, or the predicted distance (1 in the middle) is above this",
    )
    seed_depth: float = Field(
        # AP at IoU 0.75 from the true masks of 67 images of DSB 2018 (2,574 nuclei): 0.23, 0.58, 0.84, 0.85,
        # 0.83, 0.82, 0.79 with 0.25, 0.5, 0.75, 1, 1.5, 2, 3 (components: 0.67)
        1.0,
        ge=0,
        description="watershed: two objects are told apart if the neck between them is narrower than the"
        " smaller one by more than this on each side, pixels",
    )
    smoothing: float = Field(
        0.0,
        ge=0,
        le=64,
        description="probability, borders, distance: standard deviation of the Gaussian that smooths the map"
        " which seeds are read from, pixels; 0: none",
    )
    min_size: int = Field(0, ge=0, description="objects of fewer pixels are removed")
    max_hole: int = Field(0, ge=0, description="holes of up to this many pixels in an object are filled")
    connectivity: Literal[1, 2] = Field(
        1, description="1: pixels that share an edge hang together; 2: those that share a corner, too"
    )
    border_objects: Literal["keep", "drop"] = Field(
        "keep", description="whether objects that touch the image's border count"
    )
