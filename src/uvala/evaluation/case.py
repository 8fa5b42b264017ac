"""What is scored: one image's prediction beside its truth, and how predictions were made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ClassMap, LabelMap

__all__ = ["Case", "Method"]


@dataclass(frozen=True, eq=False)
class Case:
    """One image's prediction and truth. Only classes are needed; what is missing is not scored.

    truth: uint8 [H, W], 0 to K-1, IGNORE (255) where nothing counts. prediction: uint8 [H, W], 0 to K-1.
    probabilities: float32 [K, H, W], sum 1 over K. true_objects, objects: int32 [H, W], 0 outside objects.
    foreground: float32 [H, W], probability of the class whose pixels are objects. region: bool [H, W], the
    field of view; pixels outside count in no measure. group: images of one group are not independent.
    content: hash of the image's pixels.
    """

    name: str
    truth: ClassMap
    prediction: ClassMap
    probabilities: NDArray[np.float32] | None = None
    true_objects: LabelMap | None = None
    objects: LabelMap | None = None
    foreground: NDArray[np.float32] | None = None
    region: NDArray[np.bool_] | None = None
    group: str = ""
    content: str = ""


@dataclass(frozen=True)
class Method:
    """How predictions were made, for the record.

    words: how objects were found. threshold: of the probability of cells. temperature: by which logits were
    divided.
    """

    words: str = ""
    threshold: float = 0.5
    temperature: float = 1.0
