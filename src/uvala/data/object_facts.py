"""How large, how thin and how close together the things in the masks are, and how noisy their images.

What decides at which resolution a network must work, how much of an image it must see, and how strongly
images may be changed. It is measured in object_looks.py, on a few masks and images.
"""

from pydantic import Field

from uvala.config import Config
from uvala.data.class_centroids import Leaning

__all__ = ["ObjectFacts", "Three"]

Three = tuple[float, float, float]


class ObjectFacts(Config):
    """What the things in the masks are like. Lengths in pixels, of the masks that were looked at.

    Objects are those that the masks number; else the connected pieces of every class but the first.
    """

    images: int = Field(ge=1, description="pairs of image and mask that were looked at")
    objects: float = Field(ge=0, description="objects in an image, median")
    area: Three = Field(description="pixels of an object: percentiles 10, 50 and 90")
    width: Three = Field(
        description="diameter of the largest disc inside an object: percentiles 10, 50 and 90"
    )
    spacing: float | None = Field(
        description="distance from an object's centre to the nearest other one, median"
    )
    touching: float | None = Field(
        description="share of objects with another within 2 pixels; nothing where masks do not number them"
    )
    adjoining: float | None = Field(
        None, description="share of objects that share an edge with another, without a pixel between them"
    )
    thickness: tuple[float, ...] = Field(
        description="of each class, how thick its parts are along their middle, median; 0 where not seen"
    )
    pieces: tuple[float, ...] = Field(
        description="of each class, connected pieces in an image, median over the images looked at"
    )
    noise: float = Field(
        ge=0, description="standard deviation of the images' noise over their range from dark to bright"
    )
    leanings: tuple[Leaning, ...] = Field(description="where in the image each class lies")
