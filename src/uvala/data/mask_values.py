"""The values of all masks together: how often, in how many masks, and which are only blurred edges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uvala.data.mask_facts import MaskFacts
from uvala.data.masks import pack_colours

__all__ = [
    "PooledValues",
    "Space",
    "as_indices",
    "contradicting_palettes",
    "drawn_values",
    "pool_values",
    "share_near",
    "values_as",
]

_MOST_COLOURS = 200_000
"""Distinct colours kept of a set of JPEG masks: the rest are single pixels on edges."""

Space = Literal["numbers", "colours"]


@dataclass(frozen=True, eq=False)
class PooledValues:
    """All values of a set of masks, ascending, int64 [n] each.

    pixels, inner: pixels that hold the value, and those whose four neighbours hold it too. masks: how many
    masks contain it. total: pixels of all masks. number: of masks.
    """

    values: NDArray[np.int64]
    pixels: NDArray[np.int64]
    inner: NDArray[np.int64]
    masks: NDArray[np.int64]
    total: int
    number: int

    def without(self, values: Iterable[int]) -> "PooledValues":
        """The pool without some values; `total` keeps their pixels."""
        kept = ~np.isin(self.values, list(values))
        return PooledValues(
            self.values[kept], self.pixels[kept], self.inner[kept], self.masks[kept], self.total, self.number
        )


def values_as(mask: MaskFacts, space: Space) -> NDArray[np.int64]:
    """The values of one mask as numbers (grey values, palette indices), or as packed colours."""
    if space == "numbers" or mask.colour:
        return mask.values
    if mask.palette is None:
        return mask.values * 0x010101  # a colour mask in which red, green and blue are equal is read as grey
    palette = pack_colours(np.frombuffer(mask.palette, np.uint8).reshape(-1, 3))
    return palette[mask.values].astype(np.int64)


def as_indices(mask: MaskFacts, palette: NDArray[np.uint8]) -> MaskFacts | None:
    """A colour mask as indices into `palette` (uint8 [N, 3]); None if one of its colours is not in it."""
    index_of = {colour: index for index, colour in reversed(list(enumerate(pack_colours(palette).tolist())))}
    found = [index_of.get(colour) for colour in mask.values.tolist()]
    if None in found or mask.distinct > len(found):
        return None
    values = np.array(found, np.int64)
    order = np.argsort(values)
    return replace(
        mask,
        colour=False,
        palette=palette.tobytes(),
        values=values[order],
        counts=mask.counts[order],
        inner=mask.inner[order],
        lowest=int(values.min()),
        highest=int(values.max()),
    )


def pool_values(masks: Sequence[MaskFacts], space: Space) -> PooledValues:
    """The values of all masks, counted."""
    values = np.concatenate([values_as(mask, space) for mask in masks])
    distinct, inverse = np.unique(values, return_inverse=True)
    inverse = inverse.ravel()

    def add_up(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        return np.bincount(inverse, weights=np.concatenate(parts)).astype(np.int64)

    pool = PooledValues(
        values=distinct,
        pixels=add_up([mask.counts for mask in masks]),
        inner=add_up([mask.inner for mask in masks]),
        # two palette indices of one colour count that mask once: hence the set of values, not their list
        masks=add_up([_first_of_each(values_as(mask, space)) for mask in masks]),
        total=sum(mask.pixels for mask in masks),
        number=len(masks),
    )
    if len(distinct) <= _MOST_COLOURS:
        return pool
    return pool.without(distinct[np.argsort(pool.pixels)[:-_MOST_COLOURS]])


def contradicting_palettes(masks: Sequence[MaskFacts]) -> bool:
    """Whether indices and colours pair differently in different masks, so that only colours have a meaning.

    Programs that reduce an RGB mask to a palette number the colours anew in every file.
    """
    meaning: dict[int, int] = {}
    seen: set[tuple[bytes, bytes]] = set()
    for mask in masks:
        if mask.palette is None or (mask.palette, mask.values.tobytes()) in seen:
            continue
        seen.add((mask.palette, mask.values.tobytes()))
        colours = values_as(mask, "colours").tolist()
        for index, colour in zip(mask.values.tolist(), colours, strict=True):
            if meaning.setdefault(index, colour) != colour:
                return True
    # one colour under two numbers: the same, unless all masks have one palette, whose numbers then differ
    return 1 < len(set(meaning.values())) < len(meaning) and len({palette for palette, _ in seen}) > 1


def drawn_values(pool: PooledValues, space: Space, *, lossy: bool) -> tuple[int, ...] | None:
    """The values that were drawn, where all others are only blurred edges between them; None otherwise.

    A drawn value has inner pixels, an edge has none. Measured on the masks of ISBI, DSB 2018 and CamVid,
    saved as JPEG (quality 30 to 100) or shrunk with averaging: of the pixels that were not drawn, fewer than
    one in a thousand equal their four neighbours; of those that were, 10 to 95%.
    """
    places = _coordinates(pool.values, space)
    span = int(places.max()) - int(places.min())
    if span < 64:
        return None  # class numbers, or close greys: nothing between them can be told from a class
    reach = _reach(span)
    enough = max(2e-4 * pool.total, 1)
    inner = int(pool.inner.sum())
    free = np.ones(len(places), bool)
    peaks: list[int] = []
    for place in np.argsort(-pool.inner, kind="stable"):
        if pool.inner[place] < enough:
            break
        if free[place]:
            peaks.append(int(place))
            free &= np.abs(places - places[place]).max(axis=1) > reach
    if space == "numbers" and len(peaks) == 1:
        peaks.append(_other_end(pool, peaks[0]))  # outlines so thin that they have no inner pixel
    if len(peaks) < 2:
        return None
    rest = ~np.isin(np.arange(len(places)), peaks)
    distance = np.full(int(rest.sum()), np.iinfo(np.int64).max)
    for peak in peaks:
        np.minimum(distance, np.abs(places[rest] - places[peak]).max(axis=1), out=distance)
    solid = (pool.inner[rest] > 0.1 * pool.pixels[rest]) & (pool.inner[rest] >= enough)
    if (solid & (distance > (8 if lossy else 0))).any():  # JPEG shifts whole areas by a few levels
        return None
    far = distance > reach
    if pool.pixels[rest][far].sum() > 0.4 * pool.pixels.sum() or pool.inner[rest][far].sum() > 0.01 * inner:
        return None  # more between the drawn values than edges can be
    if rest.sum() < (1 if lossy else 3):
        return None  # one or two values without inner pixels are thin classes, such as outlines
    drawn = pool.values[sorted(peaks)].tolist()
    return tuple(_tidy(value, space) for value in drawn) if lossy else tuple(drawn)


def share_near(mask: MaskFacts, drawn: Sequence[int], space: Space) -> float:
    """Share of a mask's pixels, 0 to 1, that are near one of the `drawn` values."""
    places = _coordinates(values_as(mask, space), space)
    centres = _coordinates(np.array(drawn, np.int64), space)
    reach = _reach(int(centres.max()) - int(centres.min()))
    near = np.zeros(len(places), bool)
    for centre in centres:
        near |= np.abs(places - centre).max(axis=1) <= reach
    return float(mask.counts[near].sum()) / mask.pixels


def _reach(span: int) -> int:
    """How far from a drawn value its blurred and compressed versions go, for values that span so much."""
    return max(1, span * 24 // 255)


def _first_of_each(values: NDArray[np.int64]) -> NDArray[np.int64]:
    ones = np.zeros(len(values), np.int64)
    ones[np.unique(values, return_index=True)[1]] = 1
    return ones


def _coordinates(values: NDArray[np.int64], space: Space) -> NDArray[np.int64]:
    """[n, 1] numbers, or [n, 3] red, green, blue."""
    if space == "numbers":
        return values[:, None]
    return values[:, None] >> np.array([16, 8, 0]) & 255


def _other_end(pool: PooledValues, peak: int) -> int:
    """Place of the extreme value farther from `peak`."""
    lowest, value, highest = (int(pool.values[place]) for place in (0, peak, -1))
    return 0 if value - lowest > highest - value else len(pool.values) - 1


def _tidy(value: int, space: Space) -> int:
    """The round level that a JPEG file came from: 127 becomes 128 and 253 becomes 255; others stay."""
    levels = np.array([0, 64, 128, 192, 255])
    parts = [value] if space == "numbers" else [value >> 16 & 255, value >> 8 & 255, value & 255]
    if max(parts) > 255:
        return value
    tidy = [int(levels[np.abs(levels - part).argmin()]) for part in parts]
    if max(abs(level - part) for level, part in zip(tidy, parts, strict=True)) > 4:
        return value  # a colour of its own
    return tidy[0] if space == "numbers" else tidy[0] << 16 | tidy[1] << 8 | tidy[2]
