"""What a network learns so that objects which touch come apart; how it is computed stands in targets.py."""

from typing import Literal

from pydantic import Field

from uvala.config import Config

__all__ = ["TargetConfig"]


class TargetConfig(Config):
    """What a network learns besides the classes, so that objects which touch come apart."""

    objects: Literal["classes", "weights", "borders", "distance"] = Field(
        "classes",
        description="classes: only these; weights: pixels between objects weigh more in the cross-entropy; "
        "borders: an object's outline is a class of its own; distance: how far inside an object a pixel is",
    )
    border_width: int = Field(1, ge=1, description="borders: width of an outline inside its object, pixels")
    w0: float = Field(10.0, ge=0, description="weights: of a pixel between two touching objects")
    sigma: float = Field(5.0, gt=0, description="weights: how far the weight reaches, pixels")

    @property
    def extra_logits(self) -> int:
        """Channels of the logits besides those of the classes."""
        return 1 if self.objects in ("borders", "distance") else 0

    @property
    def maps(self) -> int:
        """Real-valued maps that the loss needs beside the class of each pixel."""
        return 1 if self.objects in ("weights", "distance") else 0
