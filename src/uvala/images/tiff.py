"""TIFF through tifffile: any dtype, any compression, many channels, many pages, BigTIFF.

A TIFF of three or more axes does not always say which are the channels. The rule, in this order:

1. What the file says: samples per pixel (RGB, planes), and an axis named C by OME, ImageJ or tifffile. In
   ImageJ's files "channels" is also what the pages of a plain stack are called by programs that write no
   dimensions. There C means channels up to 4, and up to 7 if the file is to be shown as a composite, which
   ImageJ does with no more; all others are pages. A plain ImageJ stack of 2 to 4 pages cannot be told from
   channels and is read as such: write it with its axis named (Z or T), or as a TIFF without that dialect.
2. Three unnamed axes of which the last is the shortest and at most 16: written as [H, W, C] by a program that
   did not say so.
3. All other axes are pages. Read as one image, up to 16 pages are taken together as channels; more are a
   stack, of which one page at a time is read.

Sources: TIFF 6.0; BigTIFF (Aware Systems).
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from uvala.arrays import Box, ImageArray, Size
from uvala.errors import ImageError
from uvala.images.orientation import swaps_sides
from uvala.images.pixels import MOST_UNNAMED_CHANNELS, Pixels
from uvala.images.room import require_room
from uvala.images.tiff_integrity import require_whole_directories, require_whole_segments
from uvala.images.tiff_pixels import orientation_of, pixels_of

__all__ = [
    "TiffAxes",
    "decode_tiff",
    "opened_series",
    "pages_at",
    "read_series",
    "require_page",
    "selected",
    "tiff_pages",
    "tiff_size",
]

# tifffile logs what it tolerates; what matters of it is checked here and raised
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MOST_PLAIN_CHANNELS = 4  # of an ImageJ file that does not say how its channels are shown together
_MOST_IN_COMPOSITE = 7  # ImageJ's CompositeImage.MAX_CHANNELS

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class TiffAxes:
    """What each axis of a series is: indices into its shape, the axes of length one left out."""

    pages: tuple[int, ...]
    channels: tuple[int, ...]
    rows: int
    columns: int

    @property
    def plane(self) -> tuple[int, int]:
        """The axes of a picture: rows, columns."""
        return self.rows, self.columns

    @classmethod
    def of(cls, series: tifffile.TiffPageSeries) -> Self:
        """ValueError without rows and columns."""
        shape, names = series.get_shape(squeeze=False), series.get_axes(squeeze=False)
        rows, columns = names.index("Y"), names.index("X")
        others = [axis for axis, length in enumerate(shape) if length > 1 and axis not in {rows, columns}]
        channels = [axis for axis in others if _names_channels(series, names[axis], shape[axis])]
        pages = [axis for axis in others if axis not in channels]
        if not channels and len(pages) == 1 and pages[0] < rows < columns and names[pages[0]] in "QIC":
            shortest = shape[columns] < min(shape[rows], shape[pages[0]])
            if shortest and 1 < shape[columns] <= MOST_UNNAMED_CHANNELS:
                return cls((), (columns,), pages[0], rows)
        return cls(tuple(pages), tuple(channels), rows, columns)


def tiff_pages(path: Path) -> int:
    """How many images a TIFF holds: pages of one size, channels not counted. ValueError if it is damaged."""
    with opened_series(path) as series:
        return _count(series, TiffAxes.of(series))


def tiff_size(path: Path) -> Size:
    """Height and width of the upright picture, from the header. ValueError if the file is damaged."""
    with opened_series(path) as series:
        axes, shape = TiffAxes.of(series), series.get_shape(squeeze=False)
        size = Size(shape[axes.rows], shape[axes.columns])
        return Size(size.width, size.height) if swaps_sides(orientation_of(series.keyframe)) else size


def decode_tiff(path: Path, page: int | None) -> Pixels:
    """The pixels of a TIFF, or of one of its pages, counted from 0.

    ValueError, or what tifffile raises, if it is damaged; ImageError if there is no such page, or if a stack
    of more than 16 pages is read without saying which.
    """
    with opened_series(path) as series:
        axes = TiffAxes.of(series)
        together = require_page(path, series, axes, page)
        index = selected(series, axes, page)
        return pixels_of(series.keyframe, read_series(series, axes, index), together)


def require_page(path: Path, series: tifffile.TiffPageSeries, axes: TiffAxes, page: int | None) -> int:
    """How many pages are read together as channels. ImageError without such a page, or for a long stack."""
    count = _count(series, axes)
    if page is None and count > MOST_UNNAMED_CHANNELS:
        raise ImageError(
            found=f"{path}, a stack of {count} pages",
            expected="one image",
            fix="use its pages one by one, as in a data set of an image stack and a label stack",
        )
    if page is not None and not 0 <= page < count:
        raise ImageError(
            found=f"{path}, which has {count} page{'s' * (count > 1)}",
            expected=f"a page {page} (counted from 0)",
            fix="name a page that exists",
        )
    return count if page is None else 1


@contextmanager
def opened_series(path: Path) -> Iterator[tifffile.TiffPageSeries]:
    """The first series of a TIFF: its pages of one size, without thumbnails and pyramid levels."""
    with path.open("rb") as stream:
        require_whole_directories(stream)
        # the other files that an OME-TIFF may name are not this image
        with tifffile.TiffFile(stream, _multifile=False) as file:
            if not file.series:
                raise ValueError("it holds no picture")
            yield file.series[0]


def _names_channels(series: tifffile.TiffPageSeries, name: str, length: int) -> bool:
    if name != "C" or series.kind != "imagej":
        return name in "SC"
    # ImageJ, and tifffile on its behalf, call the pages of a plain stack channels
    said = (series.parent.imagej_metadata if series.parent is not None else None) or {}
    composite = said.get("mode") in {"composite", "color"}
    return length <= (_MOST_IN_COMPOSITE if composite else _MOST_PLAIN_CHANNELS)


def _count(series: tifffile.TiffPageSeries, axes: TiffAxes) -> int:
    return math.prod(series.get_shape(squeeze=False)[axis] for axis in axes.pages)


def selected(series: tifffile.TiffPageSeries, axes: TiffAxes, page: int | None) -> Index:
    """The index into the series that gives a page, or all of them: an integer or a slice for each axis."""
    shape = series.get_shape(squeeze=False)
    index: list[int | slice] = [0] * len(shape)
    for axis in (*axes.pages, *axes.channels, *axes.plane):
        index[axis] = slice(None)
    if page is not None:
        for axis, at in zip(
            axes.pages, np.unravel_index(page, [shape[axis] for axis in axes.pages]), strict=True
        ):
            index[axis] = int(at)
    return tuple(index)


def read_series(
    series: tifffile.TiffPageSeries, axes: TiffAxes, index: Index, box: Box | None = None
) -> ImageArray:
    """[C, H, W] of what is selected, pages as channels, or of a box of it.

    With a box only where all pixels lie in one piece (`series.dataoffset`): else whole pages are decoded.
    """
    shape = series.get_shape(squeeze=False)
    if box is not None:
        across = dict(zip(axes.plane, box.slices, strict=True))
        index = tuple(across.get(axis, at) for axis, at in enumerate(index))
    kept = [axis for axis, at in enumerate(index) if isinstance(at, slice)]
    spatial = [kept.index(axis) for axis in axes.plane]
    if box is None and series.parent is not None:
        samples = math.prod(shape[axis] for axis in kept)
        require_room(Path(series.parent.filehandle.path), samples * series.dtype.itemsize)
    array = np.moveaxis(_block(series, shape, index), spatial, (-2, -1))
    array = array.reshape(-1, *array.shape[-2:])
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def pages_at(series: tifffile.TiffPageSeries, index: Index) -> tuple[list[Any], int, tuple[int, ...]]:
    """The directories that an index asks for, how many of its axes run over them, and the shape they make.

    ValueError if one is missing or its pixels lie beyond the end of the file.
    """
    shape = series.get_shape(squeeze=False)
    depth = _page_axes(shape, len(series.pages))
    numbers = np.arange(len(series.pages)).reshape(shape[:depth])[index[:depth]]
    pages = [series.pages[int(number)] for number in numbers.flat]
    for page in pages:
        if page is None:
            raise ValueError("a page of it lies in another file")
        require_whole_segments(page, page.parent.filehandle.size)
    return pages, depth, numbers.shape


def _block(series: tifffile.TiffPageSeries, shape: tuple[int, ...], index: Index) -> NDArray[Any]:
    """`whole[index]` of a series, of which only the pages are read that the index asks for."""
    file = series.parent
    assert file is not None
    if series.dataoffset is not None:  # stored in one piece, and perhaps with one directory for all pages
        if series.dataoffset + series.nbytes > file.filehandle.size:
            raise ValueError("the file ends before its pixels do")
        dtype = series.dtype.newbyteorder(file.byteorder)
        count = series.nbytes // dtype.itemsize
        # mapped anew each time: pages of a file count as memory of the process while they are mapped
        whole = np.memmap(file.filehandle.path, dtype, "r", series.dataoffset, (count,)).reshape(shape)
        return np.array(whole[index])
    pages, depth, among = pages_at(series, index)
    blocks = [page.asarray().reshape(shape[depth:])[index[depth:]] for page in pages]
    return np.stack(blocks).reshape(among + blocks[0].shape)


def _page_axes(shape: tuple[int, ...], pages: int) -> int:
    """How many leading axes of `shape` run over the directories of the file."""
    for depth in range(len(shape) + 1):
        if math.prod(shape[:depth]) == pages:
            return depth
    raise ValueError(f"{pages} pages do not make an array of {list(shape)}")
