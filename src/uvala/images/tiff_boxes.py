"""Boxes of a TIFF, of which only those strips and tiles are read that a box meets.

Pixels that lie in one piece, uncompressed, are mapped. Where the rows of an image run over the directories
of a file, a tile has a depth, or all pixels are one large strip, it can only be decoded as a whole.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from uvala.arrays import Box, ImageArray, Size
from uvala.images.boxes import StoredImage
from uvala.images.chunks import MOST_IN_A_CHUNK, Chunks
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
def open_tiff(path: Path, page: int | None) -> Iterator[StoredImage]:
    """A TIFF, or one of its pages, as an image whose boxes are read as long as the block lasts.

    The finest level of a pyramid. ValueError and ImageError as `decode_tiff`.
    """
    with opened_series(path) as series:
        axes = TiffAxes.of(series)
        together = require_page(path, series, axes, page)
        index, shape = selected(series, axes, page), series.get_shape(squeeze=False)
        size = Size(*(shape[axis] for axis in axes.plane))
        samples = math.prod(shape[axis] for axis, at in enumerate(index) if isinstance(at, slice))
        raw, notes = _raw(path, series, axes, index, size)
        yield StoredImage(
            size=size,
            nbytes=samples * series.dtype.itemsize,
            read=raw and _meant(raw, series.keyframe, together),
            orientation=orientation_of(series.keyframe),
            facts=facts_of(series),
            notes=notes,
        )


Raw = Callable[[Box], ImageArray]


def _meant(raw: Raw, keyframe: tifffile.TiffPage, together: int) -> Callable[[Box], Pixels]:
    return lambda box: pixels_of(keyframe, raw(box), together)


def _raw(
    path: Path, series: tifffile.TiffPageSeries, axes: TiffAxes, index: Index, size: Size
) -> tuple[Raw | None, tuple[str, ...]]:
    """What reads the samples [C, h, w] of a box, or None, and what to know of it."""
    if series.dataoffset is not None:
        return lambda box: read_series(series, axes, index, box), ()
    pages, depth, _ = pages_at(series, index)
    keyframe = series.keyframe
    planar = keyframe.imagedepth == 1 and min(axes.plane) >= depth
    alike = all((page.chunks, page.chunked) == (keyframe.chunks, keyframe.chunked) for page in pages)
    if not planar or not alike or Size(keyframe.imagelength, keyframe.imagewidth) != size:
        return None, ()
    segments = _Segments(pages, keyframe)
    channels, dtype, chunk = len(pages) * keyframe.samplesperpixel, np.dtype(keyframe.dtype), segments.chunk
    if channels * chunk.height * chunk.width * dtype.itemsize > MOST_IN_A_CHUNK:
        return None, ()
    chunks = Chunks(path, channels, size, dtype, chunk, segments.load)
    return chunks.read, chunks.notes


class _Segments:
    """The strips or tiles of the pages of an image, as chunks [pages * samples, height, width].

    Samples are stored side by side, or in planes one after the other.
    """

    def __init__(self, pages: list[Any], keyframe: tifffile.TiffPage) -> None:
        self._pages, self._keyframe = pages, keyframe
        height, width = keyframe.chunks[:2]
        self.chunk = Size(min(height, keyframe.imagelength), width)
        self._across = math.ceil(keyframe.imagewidth / width)
        self._down = math.ceil(keyframe.imagelength / height)
        self._planes = keyframe.samplesperpixel if keyframe.planarconfig == 2 else 1
        self._file = Lock()
        self._decode = keyframe.decode  # the first to ask makes the decoder, which two threads must not

    def load(self, row: int, column: int) -> ImageArray:
        """The chunk in a row and a column, cut at the edges of the image."""
        place = row * self._across + column
        area = self._across * self._down
        parts = [
            self._decoded(page, place + plane * area) for page in self._pages for plane in range(self._planes)
        ]
        # a copy in any case: what was decoded may be part of something larger, or lie the other way round
        return np.concatenate(parts)

    def _decoded(self, page: Any, number: int) -> NDArray[Any]:
        """A strip or tile, [samples, height, width]."""
        keyframe = self._keyframe
        segment, (_, _, top, left, _), shape = self._decode(
            self._bytes(page, number), number, jpegtables=page.jpegtables, jpegheader=keyframe.jpegheader
        )
        if segment is None:  # left out, as sparse files do with empty tiles
            segment = np.full(shape, keyframe.nodata, keyframe.dtype)
        cut = segment[0, : keyframe.imagelength - top, : keyframe.imagewidth - left]
        return np.moveaxis(cut, -1, 0).astype(keyframe.dtype, copy=False)

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
