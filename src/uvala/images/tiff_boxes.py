"""Boxes of a TIFF, of which only those strips and tiles are read that a box meets.

Pixels that lie in one piece, uncompressed, are mapped, be it all of them or those of each page. Where the
rows of an image run over the directories of a file, a tile has a depth, or all pixels of a page are one huge
strip that is compressed, it can only be decoded as a whole.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile

from uvala.arrays import Box, ImageArray, Size
from uvala.images.boxes import StoredImage
from uvala.images.chunks import Grid, Piece, Raw, Reading, in_chunks
from uvala.images.pixels import Pixels
from uvala.images.tiff import (
    Index,
    TiffAxes,
    opened_series,
    pages_at,
    read_series,
    require_page,
    selected,
)
from uvala.images.tiff_facts import facts_of
from uvala.images.tiff_pixels import orientation_of, pixels_of

__all__ = ["open_tiff"]


@contextmanager
def open_tiff(path: Path, page: int | None, memory: int | None = None) -> Iterator[StoredImage]:
    """A TIFF, or one of its pages, as an image whose boxes are read as long as the block lasts.

    The finest level of a pyramid. memory: as of `Chunks`. ValueError and ImageError as `decode_tiff`.
    """
    with opened_series(path) as series:
        axes = TiffAxes.of(series)
        together = require_page(path, series, axes, page)
        index, shape = selected(series, axes, page), series.get_shape(squeeze=False)
        size = Size(*(shape[axis] for axis in axes.plane))
        samples = math.prod(shape[axis] for axis, at in enumerate(index) if isinstance(at, slice))
        raw, notes, let_go = _reading(series, axes, index, size, memory)
        yield StoredImage(
            size=size,
            nbytes=samples * series.dtype.itemsize,
            read=raw and _meant(raw, series.keyframe, together),
            orientation=orientation_of(series.keyframe),
            facts=facts_of(series),
            notes=notes,
            let_go=let_go,
        )


def _meant(raw: Raw, keyframe: tifffile.TiffPage, together: int) -> Callable[[Box], Pixels]:
    return lambda box: pixels_of(keyframe, raw(box), together)


def _reading(
    series: tifffile.TiffPageSeries, axes: TiffAxes, index: Index, size: Size, memory: int | None
) -> Reading:
    """What reads the samples [C, h, w] of a box."""
    if series.dataoffset is not None:
        return Reading(lambda box: read_series(series, axes, index, box))
    pages, depth, _ = pages_at(series, index)
    keyframe = series.keyframe
    planar = keyframe.imagedepth == 1 and min(axes.plane) >= depth
    alike = all((page.chunks, page.chunked) == (keyframe.chunks, keyframe.chunked) for page in pages)
    if not planar or not alike or Size(keyframe.imagelength, keyframe.imagewidth) != size:
        return Reading(None)
    if all(_in_one_piece(page) for page in pages):
        return Reading(lambda box: np.concatenate([_mapped(page, keyframe, box) for page in pages]))
    segments = _Segments(pages, keyframe)
    return in_chunks(segments.grid, segments.load, memory)


def _in_one_piece(page: Any) -> bool:
    """Whether the pixels of a page follow one another, as they are."""
    # of a page that is like the first one tifffile only knows whether the first one's do
    follow = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)[:-1]
    return page.is_final and np.array_equal(follow, page.dataoffsets[1:])


def _mapped(page: Any, keyframe: tifffile.TiffPage, box: Box) -> ImageArray:
    """The samples [samples, h, w] of a box of a page that lies in one piece."""
    planes, _, height, width, samples = keyframe.shaped
    dtype = np.dtype(keyframe.dtype)
    # mapped anew each time: pages of a file count as memory of the process while they are mapped
    whole = np.memmap(
        page.parent.filehandle.path,
        dtype.newbyteorder(page.parent.byteorder),
        "r",
        page.dataoffsets[0],
        (planes, height, width, samples),
    )
    part = np.moveaxis(whole[:, *box.slices], -1, 1)  # one of planes and samples is 1
    return np.array(part, dtype).reshape(-1, box.height, box.width)


class _Segments:
    """The strips or tiles of the pages of an image, as pieces of a grid.

    Samples are stored side by side, or in planes one after the other.
    """

    def __init__(self, pages: list[Any], keyframe: tifffile.TiffPage) -> None:
        self._pages, self._keyframe = pages, keyframe
        height, width = keyframe.chunks[:2]
        samples = keyframe.samplesperpixel
        self._across = math.ceil(keyframe.imagewidth / width)
        self._down = math.ceil(keyframe.imagelength / height)
        self._planes = samples if keyframe.planarconfig == 2 else 1
        self.grid = Grid(
            channels=len(pages) * samples,
            size=Size(keyframe.imagelength, keyframe.imagewidth),
            dtype=np.dtype(keyframe.dtype),
            chunk=Size(min(height, keyframe.imagelength), width),
            depth=samples // self._planes,
        )
        self._file = Lock()
        self._decode = keyframe.decode  # the first to ask makes the decoder, which two threads must not

    def load(self, piece: Piece) -> ImageArray:
        """A strip or tile, [samples, height, width], cut at the edges of the image."""
        keyframe = self._keyframe
        page, number = self._at(piece)
        segment, (_, _, top, left, _), shape = self._decode(
            self._bytes(page, number), number, jpegtables=page.jpegtables, jpegheader=keyframe.jpegheader
        )
        if segment is None:  # left out, as sparse files do with empty tiles
            segment = np.full(shape, keyframe.nodata, keyframe.dtype)
        cut = segment[0, : keyframe.imagelength - top, : keyframe.imagewidth - left]
        # a copy in any case: what was decoded may be part of something larger, or lie the other way round
        return np.array(np.moveaxis(cut, -1, 0), keyframe.dtype, order="C")

    def _at(self, piece: Piece) -> tuple[Any, int]:
        """The page of a piece, and its number among the strips or tiles of the page."""
        page, plane = divmod(piece.first // self.grid.depth, self._planes)
        row, column = piece.box.top // self.grid.chunk.height, piece.box.left // self.grid.chunk.width
        return self._pages[page], (plane * self._down + row) * self._across + column

    def _bytes(self, page: Any, number: int) -> bytes | None:
        offset, count = page.dataoffsets[number], page.databytecounts[number]
        if not offset or not count:
            return None
        handle = page.parent.filehandle
        with self._file:
            handle.seek(offset)
            content: bytes = handle.read(count)
        if len(content) < count:
            raise ValueError("the file ends before its pixels do")
        return content
