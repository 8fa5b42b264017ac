"""Which objects of a label map stay, and how they are numbered.

Each function takes object numbers [H, W] (any integers, 0 is background, not necessarily consecutive) and
returns a new array; an object is all pixels of one number. Some passes over the pixels, however many objects.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import LabelMap
from uvala.instances.components import connected_components
from uvala.instances.labels import numbered, require_labels

__all__ = ["drop_border_objects", "fill_holes", "first_pixels", "remove_small", "renumber"]


def remove_small(labels: LabelMap, min_size: int) -> LabelMap:
    """The objects of at least `min_size` pixels, with their numbers: [H, W], the type of `labels`.

    Raises ShapeError if `labels` are not object numbers [H, W].
    """
    numbers, index = _dense(labels)
    small = np.bincount(index.ravel(), minlength=len(numbers)) < min_size
    return np.where(small, 0, numbers)[index] if small[1:].any() else labels.copy()


def drop_border_objects(labels: LabelMap) -> LabelMap:
    """The objects that have no pixel in the first or last row or column: [H, W], the type of `labels`.

    Raises ShapeError if `labels` are not object numbers [H, W].
    """
    numbers, index = _dense(labels)
    kept = numbers.copy()
    if index.size:
        kept[index[[0, -1]]] = 0
        kept[index[:, [0, -1]]] = 0
    return kept[index]


def renumber(labels: LabelMap) -> LabelMap:
    """The same objects, numbered 1..n in the order in which reading row by row meets them: int32 [H, W].

    Raises ShapeError if `labels` are not object numbers [H, W].
    """
    numbers, index = _dense(labels)
    first = first_pixels(index, len(numbers))
    present = 1 + np.flatnonzero(first[1:] < labels.size)
    new = np.zeros(len(numbers), np.int32)
    new[present[np.argsort(first[present])]] = np.arange(1, len(present) + 1)
    return new[index]


def fill_holes(labels: LabelMap, max_hole: int, connectivity: Literal[1, 2] = 1) -> LabelMap:
    """Objects whose holes of up to `max_hole` pixels belong to them: [H, W], the type of `labels`.

    A hole is background that one object encloses: nothing else touches it, neither another object (outside or
    as an island in the hole) nor the image's border. connectivity: of the objects; the background has the
    other one, so that a closed line of either kind has an inside.
    Raises ShapeError if `labels` are not object numbers [H, W].
    """
    require_labels(labels)
    filled = labels.copy()
    if max_hole <= 0 or not labels.size:
        return filled
    holes = connected_components(labels == 0, connectivity=1 if connectivity == 2 else 2)
    candidate = np.bincount(holes.ravel()) <= max_hole
    candidate[0] = False
    for edge in (holes[[0, -1]], holes[:, [0, -1]]):
        candidate[edge] = False
    rows, columns = np.nonzero(candidate[holes])
    hole = holes[rows, columns]
    lowest, highest = _numbers_around(labels, rows, columns, hole, len(candidate), connectivity)
    filled[rows, columns] = np.where(lowest == highest, lowest, 0)[hole]
    return filled


def first_pixels(labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Where reading row by row meets the numbers 0..count-1 first: int64 [count], H * W if it never does."""
    flat = labels.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1  # a number is met first where a run of it begins
    first = np.full(count, labels.size, np.int64)
    first[flat[starts[::-1]]] = starts[::-1]  # of several, the last assignment stays
    if labels.size:
        first[flat[0]] = 0
    return first


def _numbers_around(
    labels: LabelMap,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    hole: LabelMap,
    count: int,
    connectivity: Literal[1, 2],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest object number next to each hole [count]; background does not count."""
    lowest = np.full(count, np.iinfo(labels.dtype).max, labels.dtype)
    highest = np.zeros(count, labels.dtype)
    # of the hole, which is background: where objects hang together by edges, it does by corners
    steps = [(-1, 0), (0, -1), (0, 1), (1, 0)]
    steps += [(-1, -1), (-1, 1), (1, -1), (1, 1)] if connectivity == 1 else []
    for down, right in steps:
        near = labels[rows + down, columns + right]
        np.minimum.at(lowest, hole[near > 0], near[near > 0])
        np.maximum.at(highest, hole, near)
    return lowest, highest


def _dense(labels: LabelMap) -> tuple[NDArray[Any], LabelMap]:
    """(numbers [n + 1], index [H, W]): labels == numbers[index], numbers[0] == 0, each number occurs."""
    index, names = numbered(labels)
    return np.concatenate([[0], names]).astype(labels.dtype), index
