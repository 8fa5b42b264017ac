"""Which mask belongs to which image, by where they lie and what they are called.

Strict rules come first: the same sub-folder and the same stem. What is left over meets looser ones, step by
step. Two candidates at one step are never decided by chance: both are left out and reported.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import product

from uvala.data.layouts.recognition import Unpaired
from uvala.data.layouts.tree import File, Tree
from uvala.data.layouts.words import Side, bare_stem

__all__ = ["Item", "Pairing", "pair", "unpaired"]


@dataclass(frozen=True, order=True, slots=True)
class Item:
    """An image or mask file: its place without the folders that say image, mask or split, and its split."""

    file: File
    place: tuple[str, ...]
    split: str | None = None


Stem = Callable[[str, Side], str]
Place = Callable[[Item], tuple[object, ...]]


@dataclass
class Pairing:
    """Pairs of image and mask, those with several candidates, and what is left."""

    pairs: list[tuple[Item, Item]] = field(default_factory=list)
    ambiguous: list[tuple[list[Item], list[Item]]] = field(default_factory=list)
    images: list[Item] = field(default_factory=list)
    masks: list[Item] = field(default_factory=list)


def _as_is(stem: str, side: Side) -> str:
    return stem


def _lower(stem: str, side: Side) -> str:
    return stem.lower()


# How the stem of the image and of the mask are read: as they are, then with mask words, image words, or both
# taken away. An image "frame_1" meets the mask "frame_1_mask" before it meets "mask_1".
_STEMS: tuple[tuple[Stem, Stem], ...] = (
    (_as_is, _as_is),
    (_lower, _lower),
    (_lower, bare_stem),
    (bare_stem, _lower),
    (bare_stem, bare_stem),
)
# Where they lie: in mirrored folders of one split; in mirrored folders; anywhere, if one side has no folders.
_PLACES: tuple[Place, ...] = (
    lambda item: (item.split, item.place),
    lambda item: (item.place,),
    lambda item: (),
)


def pair(images: Sequence[Item], masks: Sequence[Item]) -> Pairing:
    """The pairs among `images` and `masks`; each is in one pair at most."""
    result = Pairing(images=list(images), masks=list(masks))
    for place, (image_stem, mask_stem) in product(_PLACES, _STEMS):
        if not result.images or not result.masks:
            break
        _pair_step(result, place, image_stem, mask_stem)
    result.pairs.sort()
    return result


def _pair_step(result: Pairing, place: Place, image_stem: Stem, mask_stem: Stem) -> None:
    def by_key(items: list[Item], stem: Stem, side: Side) -> dict[tuple[object, ...], list[Item]]:
        found: dict[tuple[object, ...], list[Item]] = {}
        for item in items:
            found.setdefault((*place(item), stem(item.file.stem, side)), []).append(item)
        return found

    images, masks = by_key(result.images, image_stem, "image"), by_key(result.masks, mask_stem, "mask")
    gone: set[Item] = set()
    for key in images.keys() & masks.keys():
        ours = [image for image in images[key] if any(_agree(image, mask) for mask in masks[key])]
        theirs = [mask for mask in masks[key] if any(_agree(image, mask) for image in ours)]
        if not theirs:
            continue
        if len(ours) == len(theirs) == 1:
            result.pairs.append((ours[0], theirs[0]))
        else:
            result.ambiguous.append((ours, theirs))
        gone.update(ours, theirs)
    result.images = [item for item in result.images if item not in gone]
    result.masks = [item for item in result.masks if item not in gone]


def _agree(image: Item, mask: Item) -> bool:
    """Whether two places can be the same: no other split, and one place the end of the other."""
    if image.split and mask.split and image.split != mask.split:
        return False
    longer, shorter = sorted((image.place, mask.place), key=len, reverse=True)
    return longer[len(longer) - len(shorter) :] == shorter


_MOST_HINTS = 200  # comparing names is quadratic; with more left over than that, a hint per name helps nobody


def unpaired(tree: Tree, pairing: Pairing) -> list[Unpaired]:
    """What was left out, each file with its reason and, where there is one, the nearest name."""
    found = []
    for images, masks in pairing.ambiguous:
        files = ", ".join(item.file.where for item in (*images, *masks)[:4])
        found += [
            Unpaired(tree.path(item.file), f"several files fit together, so none was chosen ({files})")
            for item in (*images, *masks)
        ]
    hints = len(pairing.images) <= _MOST_HINTS and len(pairing.masks) <= _MOST_HINTS
    sides = (
        ("image", "mask", pairing.images, pairing.masks),
        ("mask", "image", pairing.masks, pairing.images),
    )
    for side, other, mine, theirs in sides:
        names = {item.file.stem: item.file.where for item in theirs} if hints else {}
        for item in mine:
            near = get_close_matches(item.file.stem, names, n=1, cutoff=0.8)
            hint = f"; nearest is {names[near[0]]}" if near else ""
            reason = f"{side} without {'a mask' if other == 'mask' else 'an image'} of that name{hint}"
            found.append(Unpaired(tree.path(item.file), reason))
    return sorted(found)
