"""Do the images have an up and a down? Looked up in the masks: where in the image does each class lie?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uvala.arrays import ClassMap
from uvala.data.class_centroids import Leaning, class_centroids, leanings_of
from uvala.data.wording import count

__all__ = ["Orientation", "find_orientation", "orientation_of"]

_LEAST_IMAGES = 8  # fewer could all lean to one side by chance: with 8 images that is 1 of 128
_OFFSET = 0.08  # mean distance of a class's centre from the image's centre, in image heights
_AGREEMENT = 0.85


@dataclass(frozen=True)
class Orientation:
    """vertical, horizontal: whether up and down, left and right are told apart; why, in one sentence."""

    vertical: bool
    horizontal: bool
    reason: str


def find_orientation(maps: Iterable[ClassMap], names: Sequence[str]) -> Orientation:
    """Whether some class keeps to one side of the image, from class maps [H, W] of any sizes."""
    return orientation_of(leanings_of(class_centroids(each, len(names)) for each in maps), names)


def orientation_of(
    leanings: Sequence[Leaning], names: Sequence[str], *, photographs: bool = False
) -> Orientation:
    """Whether some class keeps to one side of the image, from where each lies.

    photographs: whether the images may be some, which have an up and a down unless there is evidence to the
    contrary.
    """
    known = [
        (leaning, name)
        for leaning, name in zip(leanings, names, strict=True)
        if leaning.images >= _LEAST_IMAGES
    ]
    if not known:
        seen = max(leaning.images for leaning in leanings)
        reason = f"{count(seen, 'image')} with a class cannot tell whether it keeps to one side"
        reason += ", and photographs have an up and a down" if photographs else ""
        return Orientation(vertical=photographs, horizontal=False, reason=reason)
    up = side = ""
    for leaning, name in known:
        up = up or _side(leaning.down, leaning.down_agreement, name, ("top", "bottom"))
        side = side or _side(leaning.right, leaning.right_agreement, name, ("left", "right"))
    reason = "; ".join(filter(None, (up, side))) or "no class keeps to one side of the images"
    return Orientation(vertical=bool(up), horizontal=bool(side), reason=reason)


def _side(offset: float, agreement: float, name: str, sides: tuple[str, str]) -> str:
    """That a class keeps to one side along an axis, in words; empty if it does not."""
    if abs(offset) < _OFFSET or agreement < _AGREEMENT:
        return ""
    return (
        f"'{name}' lies towards the {sides[0] if offset < 0 else sides[1]} in {agreement:.0%} of the images"
    )
