"""The objects of an image of any size, read block by block: the same as of the whole image, number by number.

A clump (pixels above the threshold that hang together) that lies in one block is separated there. One that
reaches the edge of its block is joined with its other parts first, and then cut out of the image as a whole.
That this gives the same is a property of `separate`: a clump's objects depend on the clump alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components as components_of_graph

from uvala.arrays import Box, LabelMap, Size
from uvala.errors import ConfigError, ShapeError
from uvala.instances.blocks import blocks_of, objects_in
from uvala.instances.components import connected_components
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import FloatMap, Maps, close_clumps, reach, require_maps, seed_map, separate
from uvala.instances.filters import fill_holes
from uvala.instances.label_file import LabelFile, Labels
from uvala.machine import usable_memory

__all__ = ["Reader", "objects_in_blocks"]

Reader = Callable[[Box], Maps]
"""Gives the maps of a box, each float [height, width]."""

# Bytes that separating a clump takes for each pixel of the box around it: 73 to 136 were measured, most where
# holes are filled.
_PER_PIXEL = 140
_PER_PIXEL_OF_HOLES = 20  # labels, what is filled of them, the background's components and their masks
_SMALL = 2**28  # bytes; for less nobody need ask


@overload
def objects_in_blocks(
    read: Reader, size: Size, config: ObjectConfig, *, block: int = 1024, out: LabelMap | None = None
) -> LabelMap: ...
@overload
def objects_in_blocks(
    read: Reader, size: Size, config: ObjectConfig, *, block: int = 1024, out: LabelFile
) -> LabelFile: ...
def objects_in_blocks(
    read: Reader,
    size: Size,
    config: ObjectConfig,
    *,
    block: int = 1024,
    out: Labels | None = None,
) -> Labels:
    """The objects of `find_objects`, with the same numbers, of an image read box by box: int32 [H, W].

    read: gives the maps of a box inside the image; the same pixels may be asked for more than once (around
    blocks if `config.smoothing` is set, and around clumps that cross blocks in "probability",
    "borders" and "distance"), so
    it should read what was stored rather than run a network. block: side of a block, pixels. out: where the
    result goes, int32 [H, W]: an array, a numpy memmap, or a LabelFile for what no memory holds; a new array
    if None. It is read again on the way, but not where a block is empty.

    Memory: `out`, the maps of one block (with the reach of the smoothing around it), some bytes per clump,
    and in all methods but "components" the maps of the bounding box of one clump at a time. A clump
    that sprawls over the whole image, as badly separated membranes make it, therefore costs what the whole
    image costs. Filling holes looks at a block with `max_hole` pixels around it.

    Raises what `find_objects` raises, ShapeError if `out` or what was read has the wrong shape, and
    ConfigError if a block has no pixels or a clump sprawls over more than the free memory can separate.
    """
    if block < 1:
        raise ConfigError(found=f"block = {block}", expected="at least 1 pixel", fix="try 1024")
    labels = np.zeros(size, np.int32) if out is None else _require_out(out, size)
    _require_room_for_holes(size, block, config)
    source = _Source(read, size, config)
    boxes = blocks_of(size, block)
    open_parts = _OpenParts()
    count = 0
    for box in boxes:
        count = _label_block(labels, box, source, open_parts, count)
    # a hole that reaches into an empty block is larger than that block, so no hole is filled there
    some = open_parts.occupied if config.max_hole < block**2 else boxes
    clump_of, clumps = open_parts.joined()
    if config.method == "components":
        count = _join_parts(labels, some, clump_of, count)
    else:
        for number, clump in enumerate(clumps, start=1):
            count = _separate_clump(labels, Box(*clump.tolist()), clump_of, number, source, count)
    _tidy(labels, some, source, count)
    return labels


@dataclass(frozen=True)
class _Source:
    """The image, as far as one may look at it."""

    read: Reader
    size: Size
    config: ObjectConfig

    def look(self, box: Box) -> tuple[NDArray[np.bool_], FloatMap | None]:
        """Which pixels of a box are foreground, bool [h, w], and its `seed_map`."""
        grown = self.grown(box, reach(self.config))
        maps = self.read(grown)
        if maps.foreground.shape != (grown.height, grown.width):
            raise ShapeError(
                found=f"maps of shape {maps.foreground.shape} for {grown}",
                expected=f"{(grown.height, grown.width)}",
                fix="return exactly the pixels that were asked for",
            )
        require_maps(maps, self.config)
        top, left = box.top - grown.top, box.left - grown.left
        inside = Box(top, left, top + box.height, left + box.width).slices
        seeds_from = seed_map(maps, self.config)
        mask = maps.foreground[inside] > self.config.threshold
        return mask, None if seeds_from is None else seeds_from[inside]

    def grown(self, box: Box, by: int) -> Box:
        """A box with `by` more pixels on each side, but not beyond the image."""
        bottom, right = min(box.bottom + by, self.size.height), min(box.right + by, self.size.width)
        return Box(max(box.top - by, 0), max(box.left - by, 0), bottom, right)


@dataclass
class _OpenParts:
    """Parts of clumps that reach the edge of their block. In the label map, part n is the number -n."""

    count: int = 0
    boxes: list[NDArray[np.int32]] = field(default_factory=list)  # bounding boxes [n, 4] each: there are many
    touching: list[NDArray[np.int32]] = field(default_factory=list)  # pairs of parts, [2, n] each
    occupied: list[Box] = field(default_factory=list)  # blocks that hold anything

    def add(self, parts: LabelMap, block: Box) -> None:
        """Take the parts of a block, which have the next numbers: int32 [h, w], 0 elsewhere."""
        found = objects_in(parts)
        corner = [block.top, block.left, block.top, block.left]
        self.boxes.append((found.boxes + corner).astype(np.int32))
        self.count += len(found.numbers)

    def joined(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The clump 1..n of each part [parts + 1], 0 for part 0, and the box around each clump [n, 4]."""
        pairs = np.concatenate([np.zeros((2, 0), np.int32), *self.touching], axis=1)
        parts = self.count + 1
        graph = coo_array((np.ones(pairs.shape[1], bool), (pairs[0], pairs[1])), shape=(parts, parts))
        clump_of = components_of_graph(graph, directed=False)[1].astype(np.int32)  # part 0 is alone: clump 0
        corners = np.concatenate([np.zeros((0, 4), np.int32), *self.boxes]).astype(np.int64)
        count = int(clump_of.max())
        start, stop = np.full((count, 2), np.iinfo(np.int64).max), np.zeros((count, 2), np.int64)
        np.minimum.at(start, clump_of[1:] - 1, corners[:, :2])
        np.maximum.at(stop, clump_of[1:] - 1, corners[:, 2:])
        return clump_of, np.concatenate([start, stop], axis=1)


def _label_block(
    labels: Labels,
    box: Box,
    source: _Source,
    open_parts: _OpenParts,
    count: int,
) -> int:
    """Write the objects of a block, numbered from count + 1, and its open parts; the new count."""
    config = source.config
    mask, seeds_from = source.look(box)
    if not mask.any():
        labels[box.slices] = 0
        return count
    open_parts.occupied.append(box)
    clumps = connected_components(mask, config.connectivity)
    is_open = np.zeros(int(clumps.max(initial=0)) + 1, bool)
    for edge in _inner_edges(box, source.size):
        is_open[clumps[edge]] = True
    is_open[0] = False
    closed = close_clumps(clumps, config)
    objects = separate(np.where(is_open[closed], 0, closed), seeds_from, config)
    numbers = np.zeros(len(is_open), np.int32)
    numbers[is_open] = open_parts.count + np.arange(1, np.count_nonzero(is_open) + 1)
    parts = numbers[clumps]
    open_parts.add(parts, box)
    labels[box.slices] = np.where(objects > 0, objects + count, -parts)
    open_parts.touching += _touching(labels, box, config.connectivity)
    return count + int(objects.max(initial=0))


def _touching(labels: Labels, box: Box, connectivity: int) -> Iterator[NDArray[np.int32]]:
    """Pairs of open parts [2, n] that touch across the upper and the left edge of a block."""
    slants = (0,) if connectivity == 1 else (-1, 0, 1)
    # one pixel of frame that belongs to no part, where the image ends
    above = _framed(labels, Box(box.top - 1, box.left - 1, box.top, box.right + 1))[0]
    first_row = labels[Box(box.top, box.left, box.top + 1, box.right).slices][0]
    beside = _framed(labels, Box(box.top - 1, box.left - 1, box.bottom + 1, box.left))[:, 0]
    # below the block, to the left, is a block that comes later and looks at this one from there
    beside[-1] = 0
    first_column = labels[Box(box.top, box.left, box.bottom, box.left + 1).slices][:, 0]
    for inner, outer in ((first_row, above), (first_column, beside)):
        for slant in slants:
            other = outer[1 + slant : 1 + slant + len(inner)]
            both = (inner < 0) & (other < 0)
            yield np.unique(np.stack([-inner[both], -other[both]]), axis=1)


def _framed(labels: Labels, box: Box) -> LabelMap:
    """A copy of the pixels of a box, 0 where that is outside of the image."""
    framed = np.zeros((box.height, box.width), np.int32)
    height, width = labels.shape
    inside = Box(max(box.top, 0), max(box.left, 0), min(box.bottom, height), min(box.right, width))
    if inside.height > 0 and inside.width > 0:
        place = Box(
            inside.top - box.top, inside.left - box.left, inside.bottom - box.top, inside.right - box.left
        )
        framed[place.slices] = labels[inside.slices]
    return framed


def _join_parts(labels: Labels, boxes: list[Box], clump_of: NDArray[np.int32], count: int) -> int:
    """Give all parts of a clump one number above `count`, in place; the new count."""
    objects = np.where(clump_of > 0, clump_of + count, 0)
    for box in boxes:
        piece = labels[box.slices]
        labels[box.slices] = np.where(piece < 0, objects[np.maximum(-piece, 0)], piece)
    return int(objects.max(initial=count))


def _separate_clump(
    labels: Labels,
    clump: Box,
    clump_of: NDArray[np.int32],
    number: int,
    source: _Source,
    count: int,
) -> int:
    """Replace one clump that crosses blocks by its objects, numbered from count + 1; the new count."""
    config = source.config
    box = source.grown(clump, 1)
    _require_room_for_clump(box, config)
    around = labels[box.slices]
    alone = clump_of[np.maximum(-around, 0)] == number
    # what else is there is an obstacle: a hole with an island is none
    closed = close_clumps(np.where(alone, 1, np.where(around != 0, 2, 0)).astype(np.int32), config)
    seeds_from = None if config.method == "watershed" else source.look(box)[1]
    objects = separate(np.where(closed == 1, closed, 0), seeds_from, config)
    labels[box.slices] = np.where(objects > 0, objects + count, around)
    return count + int(objects.max(initial=0))


def _require_room_for_clump(box: Box, config: ObjectConfig) -> None:
    """ConfigError for a clump in a box that is too large."""
    _require_room(
        Size(box.height, box.width),
        _PER_PIXEL,
        f"pixels above the threshold {config.threshold:g} that hang together over",
        "to separate them",
        "raise objects.threshold (--set), or take objects.method=components, which leaves them one object",
    )


def _require_room_for_holes(size: Size, block: int, config: ObjectConfig) -> None:
    """ConfigError for holes so large that what is looked at around a block does not fit in memory."""
    if not config.max_hole:
        return
    side = block + 2 * config.max_hole
    _require_room(
        Size(min(side, size.height), min(side, size.width)),
        _PER_PIXEL_OF_HOLES,
        f"objects.max_hole = {config.max_hole}, for which each block is looked at with what lies around it:",
        "that",
        "lower objects.max_hole (--set)",
    )


def _require_room(size: Size, per_pixel: int, found: str, what: str, fix: str) -> None:
    """ConfigError for what does not fit into the memory: the operating system would end the process."""
    needed = per_pixel * size.height * size.width
    if needed <= _SMALL:
        return
    free = usable_memory().free
    if needed > free:
        raise ConfigError(
            found=f"{found} {size} pixels: {what} takes {needed / 1e9:.1f} GB",
            expected=f"what fits into the free memory of {free / 1e9:.1f} GB",
            fix=f"{fix}; where other images of the folder are done already, with another --out",
        )


def _tidy(labels: Labels, boxes: list[Box], source: _Source, count: int) -> None:
    """What `decode.tidy` does, in place; the numbers are 1..count, not all of which need to occur."""
    config = source.config
    if config.min_size > 1:
        kept = _sizes(labels, boxes, count) >= config.min_size
        for box in boxes:
            labels[box.slices] *= kept[labels[box.slices]]
    if config.max_hole:
        for box in boxes:
            around = source.grown(box, config.max_hole).slices
            labels[around] = fill_holes(labels[around], config.max_hole, config.connectivity)
    first = _first_pixels(labels, boxes, count)
    present = first < labels.size
    if config.border_objects == "drop":
        for edge in _edges(source.size):
            present[labels[edge.slices]] = False
    present[0] = False
    numbers = np.zeros(count + 1, np.int32)
    order = np.flatnonzero(present)[np.argsort(first[present])]
    numbers[order] = np.arange(1, len(order) + 1)
    for box in boxes:
        labels[box.slices] = numbers[labels[box.slices]]


def _sizes(labels: Labels, boxes: list[Box], count: int) -> NDArray[np.int64]:
    """The number of pixels of each object [count + 1]; 0 for the background."""
    sizes = np.zeros(count + 1, np.int64)
    for box in boxes:
        found = objects_in(labels[box.slices])
        sizes[found.numbers] += found.sizes
    return sizes


def _first_pixels(labels: Labels, boxes: list[Box], count: int) -> NDArray[np.int64]:
    """`filters.first_pixels` of the whole image, but for the background, which counts as absent."""
    first = np.full(count + 1, labels.size, np.int64)
    for box in boxes:
        found = objects_in(labels[box.slices])
        rows, columns = np.divmod(found.first, box.width)
        places = (box.top + rows) * labels.shape[1] + box.left + columns
        first[found.numbers] = np.minimum(first[found.numbers], places)
    return first


def _edges(size: Size) -> list[Box]:
    """The first and the last row and column of an image; none if it has no pixels."""
    height, width = size
    if not height * width:
        return []
    rows = [Box(row, 0, row + 1, width) for row in (0, height - 1)]
    return rows + [Box(0, column, height, column + 1) for column in (0, width - 1)]


def _inner_edges(box: Box, size: Size) -> Iterator[Any]:
    """What indexes those edges of a block beyond which the image goes on."""
    if box.top > 0:
        yield 0
    if box.bottom < size.height:
        yield -1
    if box.left > 0:
        yield slice(None), 0
    if box.right < size.width:
        yield slice(None), -1


def _require_out(out: Labels, size: Size) -> Labels:
    if out.shape != tuple(size) or out.dtype != np.int32:
        raise ShapeError(
            found=f"an array of shape {out.shape} and type {out.dtype} for the result",
            expected=f"int32 {tuple(size)}",
            fix="make it with numpy.zeros or numpy.memmap of that shape and type, or take a LabelFile",
        )
    return out
