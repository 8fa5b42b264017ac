"""The table that shows a human how the masks are read, and the values that are not in it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, MAX_CLASSES
from uvala.data.mask_facts import MaskFacts
from uvala.data.mask_values import as_indices, values_as
from uvala.data.masks import EncodingRow, MaskEncoding, pack_colours

__all__ = ["class_pixels", "encoding_table", "strange_values"]


def encoding_table(masks: Sequence[MaskFacts], encoding: MaskEncoding) -> tuple[EncodingRow, ...]:
    """For each class: its values, its name, its share of all pixels, and how many masks contain it."""
    pixels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    for mask in masks:
        found = class_pixels(mask, encoding)
        pixels.update(found)
        images.update(found.keys())
    total = max(sum(pixels[index] for index in pixels if index != MAX_CLASSES), 1)
    rows = [
        EncodingRow(_in_words(index, encoding, masks), entry.name, pixels[index] / total, images[index])
        for index, entry in enumerate(encoding.classes)
    ]
    if encoding.ignore:
        values = ", ".join(map(encoding.spell, encoding.ignore))
        rows.append(EncodingRow(values, "(ignored)", pixels[IGNORE] / total, images[IGNORE]))
    return tuple(rows)


def class_pixels(mask: MaskFacts, encoding: MaskEncoding) -> dict[int, int]:
    """Pixels of each class that occurs in a mask, by class index; IGNORE and 254 (of no class) among them."""
    codes, counts = _codes(mask, encoding)
    if encoding.kind == "instances":
        background = codes == encoding.classes[0].values[0]
        indices = np.where(np.isin(codes, encoding.ignore), IGNORE, np.where(background, 0, 1))
    else:
        indices = encoding.classify(codes).astype(np.int64)
    pixels = np.bincount(indices, weights=counts, minlength=256)
    return {int(index): int(pixels[index]) for index in np.flatnonzero(pixels)}


def strange_values(mask: MaskFacts, encoding: MaskEncoding) -> dict[int, int]:
    """Values of a mask that no class has, with their pixels; none where the values number objects."""
    if encoding.kind == "instances":
        return {}
    codes, counts = _codes(mask, encoding)
    known = {value for entry in encoding.classes for value in entry.values} | set(encoding.ignore)
    return {
        value: pixels
        for value, pixels in zip(codes.tolist(), counts.tolist(), strict=True)
        if value not in known
    }


def _codes(mask: MaskFacts, encoding: MaskEncoding) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if encoding.kind == "colours":
        return values_as(mask, "colours"), mask.counts
    if mask.colour and encoding.palette is not None:
        converted = as_indices(mask, np.array(encoding.palette, np.uint8))
        return (mask.values, mask.counts) if converted is None else (converted.values, converted.counts)
    return mask.values, mask.counts


def _in_words(index: int, encoding: MaskEncoding, masks: Sequence[MaskFacts]) -> str:
    if encoding.kind == "instances" and index == 1:
        if any(mask.objects is not None for mask in masks):
            return "one file per object"
        return f"1 to {max((mask.highest for mask in masks), default=1)}, a number per object"
    spelt = ", ".join(map(encoding.spell, encoding.classes[index].values))
    colour = encoding.colour_of(index) if encoding.kind == "palette" else None
    return spelt if colour is None else f"{spelt} (#{int(pack_colours(np.array(colour, np.uint8))):06x})"
