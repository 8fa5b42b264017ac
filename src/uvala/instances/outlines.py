"""The outline of each object along the edges of its pixels: polygons that cover exactly its pixels.

A pixel in row r and column c is the square from (x, y) = (c, r) to (c + 1, r + 1). A step goes along one side
of one pixel, with the object on its right hand (y points down), so outer rings have positive area and holes
negative area in the shoelace formula.

    direction   0 right, along the upper side    1 down, along the right side
                2 left, along the lower side     3 up, along the left side
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from uvala.arrays import LabelMap
from uvala.instances.labels import numbered

__all__ = ["Polygon", "Ring", "polygons"]

Ring = NDArray[np.int32]
"""Corners of a closed line, [N, 2]: x and y; the last corner is the first again."""


@dataclass(frozen=True)
class Polygon:
    """A part of an object that hangs together by the sides of pixels: its outer ring and its holes.

    No ring meets itself; two rings meet in single corners at most.
    """

    outer: Ring
    holes: tuple[Ring, ...]


def polygons(labels: NDArray[Any], *, corner: tuple[int, int] = (0, 0)) -> dict[int, list[Polygon]]:
    """The polygons of each object under its number, in the order of the numbers.

    labels: integers [H, W], 0 background. corner: if they are cut out of an image, the row and the column of
    their first pixel there. The area of an object's polygons is the number of its pixels.
    Pixels that meet at a corner only are in different polygons, so that every polygon is valid in the sense
    of the Open Geospatial Consortium. Raises ShapeError for what is not a label map.
    """
    objects, names = numbered(labels)
    found: dict[int, list[Polygon]] = {int(name): [] for name in names}
    if not len(names):
        return found
    parts = label(objects, background=0, connectivity=1)
    steps = _steps(np.pad(parts, 1).astype(np.int32, copy=False))
    rings: dict[int, tuple[list[Ring], list[Ring]]] = {}
    origin = np.array(corner[::-1], np.int32)  # a ring is x, y
    for part, ring in _rings(steps):
        ring += origin
        rings.setdefault(part, ([], []))[_shoelace(ring) < 0].append(ring)
    number_of = np.zeros(int(parts.max()) + 1, np.intp)
    number_of[parts] = objects
    for part, ((outer,), holes) in sorted(rings.items()):
        found[int(names[number_of[part] - 1])].append(Polygon(outer, tuple(holes)))
    return found


@dataclass(frozen=True)
class _Steps:
    """All steps around all parts; each array has one value per step, int [N]."""

    part: NDArray[Any]
    x: NDArray[Any]  # of the corner where the step begins
    y: NDArray[Any]
    direction: NDArray[Any]
    next: NDArray[Any]  # the index of the step that follows
    pinched: NDArray[np.bool_]  # whether the part comes to the step's end from the opposite side as well


def _steps(parts: LabelMap) -> _Steps:
    """The steps around the parts of a map with one row and column of background on each side."""
    width = parts.shape[1]
    flat = parts.ravel()
    ahead = np.array([1, width, -1, -width])  # where the pixel in each direction lies in `flat`
    left_of = np.roll(ahead, 1)  # the neighbour on the left hand: above for a step to the right
    inside = np.flatnonzero(flat)
    places, directions = [], []
    for side in range(4):
        free = inside[flat[inside] != flat[inside + left_of[side]]]
        places.append(free)
        directions.append(np.full(len(free), side))
    place, direction = np.concatenate(places), np.concatenate(directions)
    own, front = flat[place], place + ahead[direction]
    front_left = front + left_of[direction]
    closed = flat[front] == own  # the object goes on in front: no turn to the right
    beyond = flat[front_left] == own
    next_place = np.where(closed, np.where(beyond, front_left, front), place)
    next_direction = np.where(closed, np.where(beyond, direction - 1, direction), direction + 1) % 4
    key = direction * flat.size + place  # ascending, as it was put together
    rows, columns = np.divmod(place, width)
    return _Steps(
        part=own,
        x=columns - 1 + ((direction == 1) | (direction == 2)),
        y=rows - 1 + (direction >= 2),
        direction=direction,
        next=np.searchsorted(key, next_direction * flat.size + next_place),
        pinched=~closed & beyond,
    )


def _rings(steps: _Steps) -> list[tuple[int, Ring]]:
    """The part and the corners of each ring."""
    follows = steps.next.tolist()
    order: list[int] = []
    starts = []
    seen = bytearray(len(follows))
    # a ring has a step to the right along an upper side; those steps come first
    for first in range(int(np.count_nonzero(steps.direction == 0))):
        if seen[first]:
            continue
        starts.append(len(order))
        step = first
        while not seen[step]:
            seen[step] = 1
            order.append(step)
            step = follows[step]
    walk, bounds = np.array(order), np.array([*starts, len(order)])
    turn = _turns(steps.direction[walk], bounds)
    corners = np.stack([steps.x[walk], steps.y[walk]], axis=1).astype(np.int32)[turn]
    bounds = np.concatenate([[0], np.cumsum(turn)])[bounds]
    pinches = np.add.reduceat(steps.pinched[walk].astype(np.int64), starts)
    rings = []
    for index, part in enumerate(steps.part[walk[starts]].tolist()):
        ring = corners[bounds[index] : bounds[index + 1]]
        rings += [(part, each) for each in (_apart(ring) if pinches[index] > 1 else [ring])]
    return [(part, np.concatenate([ring, ring[:1]])) for part, ring in rings]


def _turns(direction: NDArray[Any], bounds: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each step of rings that lie one after the other goes in another direction than that before."""
    before = np.roll(direction, 1)
    before[bounds[:-1]] = direction[bounds[1:] - 1]
    return direction != before


def _apart(ring: Ring) -> list[Ring]:
    """A ring that comes to some corner twice as rings that do not."""
    rings: list[list[tuple[int, ...]]] = []
    path: list[tuple[int, ...]] = []
    places: dict[tuple[int, ...], int] = {}
    for corner in map(tuple, ring.tolist()):
        if corner in places:
            start = places[corner]
            rings.append(path[start:])
            for gone in path[start:]:
                del places[gone]
            del path[start:]
        places[corner] = len(path)
        path.append(corner)
    return [np.array(each, np.int32) for each in [*rings, path]]


def _shoelace(ring: Ring) -> float:
    """The area inside a closed ring, negative if it is walked the other way round."""
    x, y = ring.astype(np.int64).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) / 2
