"""Where in an image the classes and the objects are: a few pixels of each, whatever the image's size."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, Box, ClassMap, LabelMap
from uvala.instances.components import connected_components
from uvala.instances.labels import numbered, object_boxes

__all__ = ["Places", "class_places", "object_places"]

Places = NDArray[np.int64]
"""Flat indices of pixels [H, W], [N]."""

_PIXELS = 2000  # remembered per class and image: enough that no object is always missed
_OBJECTS = 4096  # remembered per image, drawn evenly where there are more
_BAND = 2**22  # pixels looked at at a time, so that an image of any size needs a few tens of MB
_BLOCK = 4096  # side of the squares in which objects are counted; one that lies in two counts in both


def class_places(classes: ClassMap) -> tuple[Places, ...]:
    """Some pixels of each class that occurs in `classes` [H, W], drawn evenly: at most 2000 of each."""
    flat = classes.reshape(-1)
    counts = np.array([np.bincount(band, minlength=256)[:IGNORE] for _, band in _bands(flat)])
    rng = np.random.default_rng(0)
    total = counts.sum(axis=0, dtype=np.int64)
    wanted = {
        int(index): rng.choice(total[index], _PIXELS, replace=False)
        if total[index] > _PIXELS
        else np.arange(total[index])
        for index in np.flatnonzero(total)
    }
    return tuple(_pick(flat, index, ranks, counts[:, index]) for index, ranks in wanted.items())


def object_places(classes: ClassMap, labels: LabelMap | None) -> Places:
    """A pixel in the middle of each object; of more than 4096 objects, so many drawn evenly.

    labels: int32 [H, W], the objects; None: what hangs together in one class of `classes` [H, W], the first
    one, which is the background, left out.
    """
    found = [np.empty(0, np.int64)]
    for box in _blocks(*classes.shape):
        here = classes[box.slices]
        maps = [labels[box.slices]] if labels is not None else _components(here)
        for objects in maps:
            found.append(_middles(objects, here, box, classes.shape[1]))
    places = np.concatenate(found)
    if len(places) > _OBJECTS:
        places = np.sort(np.random.default_rng(0).choice(places, _OBJECTS, replace=False))
    return places


def _bands(flat: ClassMap) -> Iterator[tuple[int, ClassMap]]:
    for start in range(0, len(flat), _BAND):
        yield start, flat[start : start + _BAND]


def _pick(flat: ClassMap, index: int, ranks: Places, counts: NDArray[np.int64]) -> Places:
    """The pixels of class `index` that are its first, second, ... as `ranks` say; counts: of each band."""
    picked = np.empty(len(ranks), np.int64)
    before = np.concatenate([[0], np.cumsum(counts)])
    band_of = np.searchsorted(before, ranks, side="right") - 1
    for number, (start, band) in enumerate(_bands(flat)):
        here = band_of == number
        if here.any():
            picked[here] = start + np.flatnonzero(band == index)[ranks[here] - before[number]]
    return picked


def _blocks(height: int, width: int) -> Iterator[Box]:
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            yield Box(top, left, min(top + _BLOCK, height), min(left + _BLOCK, width))


def _components(classes: ClassMap) -> Iterator[LabelMap]:
    present = np.flatnonzero(np.bincount(classes.ravel(), minlength=256)[:IGNORE])
    for index in present[present > 0]:
        yield connected_components(classes == index)


def _middles(labels: LabelMap, classes: ClassMap, box: Box, width: int) -> Places:
    """Of each object of a part of an image, the middle one of its pixels that are not to be ignored."""
    objects, _ = numbered(np.where(classes == IGNORE, 0, labels))
    middles = []
    for number, each in enumerate(object_boxes(objects), start=1):
        rows, columns = np.nonzero(objects[each.slices] == number)  # in reading order
        middle = len(rows) // 2
        row, column = box.top + each.top + rows[middle], box.left + each.left + columns[middle]
        middles.append(int(row) * width + int(column))
    return np.array(middles, np.int64)
