"""Several networks over one large image, block by block: their mean, as soon as all have seen a block."""

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, cells
from uvala.prediction.ensemble import mean_outputs
from uvala.runs.inference import Outputs
from uvala.tiling.shelf import Scratch, Shelf

__all__ = ["mean_blocks"]

Stream = Generator[tuple[Box, Outputs]]


def mean_blocks(
    streams: Sequence[Stream], grid: int, finished: Collection[Box] = (), scratch: Scratch | None = None
) -> Stream:
    """The mean of what each stream says, box by box.

    streams: of `runs.inference.output_blocks`, over one image with one grid; all are closed with this one.
    finished: what they leave out. The first one sets the pace. What comes earlier than it is needed is held:
    of tiles that are cut alike nothing, but a row of boxes where some are exact and others blended. scratch:
    for what there is no room for in memory.
    """
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(closing(stream))
        first, *others = streams
        if not others:
            yield from first
            return
        held = [stack.enter_context(closing(Shelf(scratch))) for _ in others]
        done = {part for box in finished for part in _parts(box, grid)}
        for box, outputs in first:
            wanted = {part for part in _parts(box, grid) if part not in done}
            for stream, shelf in zip(others, held, strict=True):
                while not all((part, "probabilities") in shelf for part in wanted):
                    for part, said in _cut(*next(stream), grid):
                        if part not in done:
                            _put(shelf, part, said)
            for part, said in _cut(box, outputs, grid):
                if part in wanted:
                    yield part, mean_outputs([said, *(_take(shelf, part, said.maps) for shelf in held)])
            done |= wanted


def _put(shelf: Shelf, part: Box, said: Outputs) -> None:
    for name, values in said.maps.items():
        # one that comes twice, after tiles got smaller, brings the same numbers
        if (part, name) not in shelf:
            shelf.put((part, name), values)


def _take(shelf: Shelf, part: Box, names: Iterable[str]) -> Outputs:
    return Outputs(**{name: _taken(shelf, (part, name)) for name in names})


def _taken(shelf: Shelf, key: tuple[Box, str]) -> NDArray[np.float32]:
    values = shelf.take(key)
    assert values is not None, "a part that did not come"
    return values


def _parts(box: Box, grid: int) -> Iterator[Box]:
    """The parts of a box, cut at multiples of `grid`."""
    for cell in cells(box, grid):
        rows, columns = cell.of_box
        top, left = box.top + rows.start, box.left + columns.start
        yield Box(top, left, box.top + rows.stop, box.left + columns.stop)


def _cut(box: Box, outputs: Outputs, grid: int) -> Iterator[tuple[Box, Outputs]]:
    """Each part with its outputs: copies, so that none keeps the others in memory."""
    for part, cell in zip(_parts(box, grid), cells(box, grid), strict=True):
        yield part, outputs.by_map(partial(_copy, place=cell.of_box))


def _copy(values: NDArray[np.float32], *, place: tuple[slice, slice]) -> NDArray[np.float32]:
    return values[..., *place].copy()
