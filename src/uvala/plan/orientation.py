"""Do the images have an up and a down? Looked up in the masks: where in the image does each class lie?"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, ClassMap

__all__ = ["Orientation", "find_orientation"]

_LEAST_IMAGES = 8  # fewer could all lean to one side by chance: with 8 images that is 1 of 128
_OFFSET = 0.08  # mean distance of a class's centre from the image's centre, in image heights
_AGREEMENT = 0.85


@dataclass(frozen=True)
class Orientation:
    """vertical, horizontal: whether up and down, left and right are told apart; why, in one sentence."""

    vertical: bool
    horizontal: bool
    reason: str


def find_orientation(maps: Iterable[ClassMap], names: tuple[str, ...]) -> Orientation:
    """Whether some class keeps to one side of the image, from class maps [H, W] of any sizes."""
    centres = np.array([_centres(each, len(names)) for each in maps])  # [N, K, 2]
    up = _leaning(centres, 0, names, ("top", "bottom"))
    side = _leaning(centres, 1, names, ("left", "right"))
    reason = "; ".join(filter(None, (up, side))) or "no class keeps to one side of the images"
    return Orientation(vertical=bool(up), horizontal=bool(side), reason=reason)


def _leaning(centres: NDArray[np.float64], axis: int, names: tuple[str, ...], sides: tuple[str, str]) -> str:
    """Which class keeps to one side along an axis, in words; empty if none does."""
    for index, name in enumerate(names):
        offsets = centres[:, index, axis] if len(centres) else np.empty(0)
        offsets = offsets[np.isfinite(offsets)]
        if len(offsets) < _LEAST_IMAGES or abs(offsets.mean()) < _OFFSET:
            continue
        agreeing = (np.sign(offsets) == np.sign(offsets.mean())).mean()
        if agreeing >= _AGREEMENT:
            side = sides[0] if offsets.mean() < 0 else sides[1]
            return f"'{name}' lies towards the {side} in {agreeing:.0%} of the images"
    return ""


def _centres(classes: ClassMap, num_classes: int) -> NDArray[np.float64]:
    """Centre of each class relative to the image's centre, in image sizes [K, 2] (y, x); NaN where absent."""
    height, width = classes.shape
    known = classes != IGNORE
    rows = np.broadcast_to(((np.arange(height) + 0.5) / height - 0.5)[:, None], classes.shape)[known]
    columns = np.broadcast_to((np.arange(width) + 0.5) / width - 0.5, classes.shape)[known]
    flat = classes[known]
    pixels = np.bincount(flat, minlength=num_classes).astype(float)
    pixels[pixels == 0] = np.nan
    y = np.bincount(flat, weights=rows, minlength=num_classes)
    x = np.bincount(flat, weights=columns, minlength=num_classes)
    return np.stack([y, x], axis=1) / pixels[:, None]
