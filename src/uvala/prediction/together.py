"""Several networks over one large image, block by block: their mean, as soon as all have seen a block."""

from collections.abc import Collection, Iterator, Sequence

from uvala.arrays import Box, cells
from uvala.prediction.ensemble import mean_outputs
from uvala.runs.inference import Outputs

__all__ = ["mean_blocks"]

Stream = Iterator[tuple[Box, Outputs]]


def mean_blocks(
    streams: Sequence[Stream], grid: int, finished: Collection[Box] = ()
) -> Iterator[tuple[Box, Outputs]]:
    """The mean of what each stream says, box by box.

    streams: of `runs.inference.output_blocks`, over one image with one grid. finished: what they leave out.
    The first one sets the pace. Networks are cut into different boxes where their contexts differ: what comes
    earlier than it is needed is held, at most a row of boxes.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    done = {part for box in finished for part in _parts(box, grid)}
    first, *others = streams
    seen: list[dict[Box, Outputs]] = [{} for _ in others]
    for box, outputs in first:
        wanted = set(_parts(box, grid)) - done
        for stream, known in zip(others, seen, strict=True):
            while not wanted <= known.keys():
                # a part that comes twice, after tiles got smaller, brings the same numbers
                known.update((part, said) for part, said in _cut(*next(stream), grid) if part not in done)
        for part, said in _cut(box, outputs, grid):
            if part in wanted:
                yield part, mean_outputs([said, *(known.pop(part) for known in seen)])
        done |= wanted


def _parts(box: Box, grid: int) -> Iterator[Box]:
    """The parts of a box, cut at multiples of `grid`."""
    for cell in cells(box, grid):
        rows, columns = cell.of_box
        top, left = box.top + rows.start, box.left + columns.start
        yield Box(top, left, box.top + rows.stop, box.left + columns.stop)


def _cut(box: Box, outputs: Outputs, grid: int) -> Iterator[tuple[Box, Outputs]]:
    """Each part with its outputs: copies, so that none keeps the others in memory."""
    maps = (outputs.probabilities, outputs.borders, outputs.distance, outputs.entropy)
    for part, cell in zip(_parts(box, grid), cells(box, grid), strict=True):
        probabilities, *more = (None if each is None else each[..., *cell.of_box].copy() for each in maps)
        assert probabilities is not None
        yield part, Outputs(probabilities, *more)
