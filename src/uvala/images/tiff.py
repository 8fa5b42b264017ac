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
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from uvala.arrays import ImageArray, Size
from uvala.errors import ImageError
from uvala.images.orientation import UPRIGHT, swaps_sides
from uvala.images.pixels import MOST_UNNAMED_CHANNELS, Pixels

__all__ = ["decode_tiff", "tiff_pages", "tiff_size"]

# tifffile logs what it tolerates; what matters of it is checked here and raised
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_LOSSY = {6, 7, 33007, 34892, 50001, 50002}  # old and new JPEG, ALT_JPEG, lossy DNG, WebP
_ALPHA = {tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA}
_MOST_PLAIN_CHANNELS = 4  # of an ImageJ file that does not say how its channels are shown together
_MOST_IN_COMPOSITE = 7  # ImageJ's CompositeImage.MAX_CHANNELS
_VALUE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # by TIFF type number


@dataclass(frozen=True)
class _Axes:
    """What each axis of a series is: indices into its shape, the axes of length one left out."""

    pages: tuple[int, ...]
    channels: tuple[int, ...]
    rows: int
    columns: int

    @classmethod
    def of(cls, series: tifffile.TiffPageSeries) -> Self:
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
    with _opened(path) as series:
        return _count(series, _Axes.of(series))


def tiff_size(path: Path) -> Size:
    """Height and width of the upright picture, from the header. ValueError if the file is damaged."""
    with _opened(path) as series:
        axes, shape = _Axes.of(series), series.get_shape(squeeze=False)
        size = Size(shape[axes.rows], shape[axes.columns])
        return Size(size.width, size.height) if swaps_sides(_orientation_of(series.keyframe)) else size


def decode_tiff(path: Path, page: int | None) -> Pixels:
    """The pixels of a TIFF, or of one of its pages, counted from 0.

    ValueError, or what tifffile raises, if it is damaged; ImageError if there is no such page, or if a stack
    of more than 16 pages is read without saying which.
    """
    with _opened(path) as series:
        axes = _Axes.of(series)
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
        array = _read(series, axes, page)
        together = count if page is None else 1
        notes = (f"{together} pages read as {together} channels",) if together > 1 else ()
        return _pixels(series.keyframe, array, together, notes)


@contextmanager
def _opened(path: Path) -> Iterator[tifffile.TiffPageSeries]:
    """The first series of a TIFF: its pages of one size, without thumbnails and pyramid levels."""
    with path.open("rb") as stream:
        _require_whole_directories(stream)
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


def _count(series: tifffile.TiffPageSeries, axes: _Axes) -> int:
    return math.prod(series.get_shape(squeeze=False)[axis] for axis in axes.pages)


def _read(series: tifffile.TiffPageSeries, axes: _Axes, page: int | None) -> ImageArray:
    """[C, H, W] of one page, or of all of them with the pages as channels."""
    shape = series.get_shape(squeeze=False)
    index: list[int | slice] = [0] * len(shape)
    for axis in (*axes.pages, *axes.channels, axes.rows, axes.columns):
        index[axis] = slice(None)
    if page is not None:
        for axis, at in zip(
            axes.pages, np.unravel_index(page, [shape[axis] for axis in axes.pages]), strict=True
        ):
            index[axis] = int(at)
    kept = [axis for axis, at in enumerate(index) if isinstance(at, slice)]
    spatial = [kept.index(axes.rows), kept.index(axes.columns)]
    array = np.moveaxis(_block(series, shape, tuple(index)), spatial, (-2, -1))
    array = array.reshape(-1, *array.shape[-2:])
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _block(series: tifffile.TiffPageSeries, shape: tuple[int, ...], index: tuple[Any, ...]) -> NDArray[Any]:
    """`whole[index]` of a series, of which only the pages are read that the index asks for."""
    file = series.parent
    assert file is not None
    if series.dataoffset is not None:  # stored in one piece, and perhaps with one directory for all pages
        if series.dataoffset + series.nbytes > file.filehandle.size:
            raise ValueError("the file ends before its pixels do")
        dtype = series.dtype.newbyteorder(file.byteorder)
        count = series.nbytes // dtype.itemsize
        whole = np.memmap(file.filehandle.path, dtype, "r", series.dataoffset, (count,)).reshape(shape)
        return np.array(whole[index])
    depth = _page_axes(shape, len(series.pages))
    numbers = np.arange(len(series.pages)).reshape(shape[:depth])[index[:depth]]
    blocks = []
    for number in numbers.flat:
        page = series.pages[int(number)]
        if page is None:
            raise ValueError(f"page {number} lies in another file")
        _require_whole_segments(page, file.filehandle.size)
        blocks.append(page.asarray().reshape(shape[depth:])[index[depth:]])
    return np.stack(blocks).reshape(numbers.shape + blocks[0].shape)


def _page_axes(shape: tuple[int, ...], pages: int) -> int:
    """How many leading axes of `shape` run over the directories of the file."""
    for depth in range(len(shape) + 1):
        if math.prod(shape[:depth]) == pages:
            return depth
    raise ValueError(f"{pages} pages do not make an array of {list(shape)}")


def _pixels(keyframe: tifffile.TiffPage, array: ImageArray, pages: int, notes: tuple[str, ...]) -> Pixels:
    photometric, dtype, palette, alpha = keyframe.photometric, array.dtype.name, None, None
    if array.dtype.kind not in "buif":
        raise ValueError(f"pixels of {array.dtype}")
    if array.size == 0:
        raise ValueError("it holds no pixel")
    if photometric == tifffile.PHOTOMETRIC.YCBCR and keyframe.compression not in {6, 7}:
        raise ValueError("YCbCr colours that are not JPEG-compressed, which uvala does not read")
    if photometric == tifffile.PHOTOMETRIC.PALETTE and keyframe.colormap is not None:
        palette = _palette(keyframe.colormap)
        array = array.astype(np.uint8) if array.dtype == bool else array
    elif array.dtype == bool:
        array = np.where(array, np.uint8(255), np.uint8(0))
    if _has_alpha(keyframe) and len(array) == keyframe.samplesperpixel:
        array, alpha = array[:-1], array[-1]
    if photometric == tifffile.PHOTOMETRIC.SEPARATED and array.dtype == np.uint8 and len(array) == 4:
        array, notes = _from_cmyk(array), (*notes, "CMYK converted to RGB")
    return Pixels(
        channels=array,
        alpha=alpha,
        palette=palette,
        orientation=_orientation_of(keyframe),
        white_is_zero=photometric == tifffile.PHOTOMETRIC.MINISWHITE,
        lossy=int(keyframe.compression) in _LOSSY,
        pages=pages,
        dtype=dtype,
        notes=notes,
    )


def _has_alpha(keyframe: tifffile.TiffPage) -> bool:
    # Only samples that lie side by side: tifffile marks the fourth of any four 8-bit planes as alpha, and
    # planes are what sensors write, not drawing programs.
    extra = keyframe.extrasamples
    colours = keyframe.samplesperpixel - len(extra)
    return keyframe.planarconfig == 1 and colours in {1, 3} and len(extra) == 1 and extra[0] in _ALPHA


def _palette(colormap: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """uint8 [N, 3] from the 16-bit table [3, N] of a TIFF; some writers fill in 8-bit numbers."""
    shift = 8 if colormap.max(initial=0) > 255 else 0
    return (colormap >> shift).astype(np.uint8).T


def _from_cmyk(array: ImageArray) -> ImageArray:
    """RGB, uint8 [3, H, W], of inks on white paper, uint8 [4, H, W]."""
    light = 255 - array.astype(np.uint16)
    return ((light[:3] * light[3] + 127) // 255).astype(np.uint8)


def _orientation_of(keyframe: tifffile.TiffPage) -> int:
    tag = keyframe.tags.get(274)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else UPRIGHT


def _require_whole_segments(page: Any, size: int) -> None:
    """ValueError if a strip or tile of a page lies beyond the end; tifffile would fill it with zeros."""
    ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)
    if len(ends) == 0 or ends.max() > size:
        raise ValueError("the file ends before its pixels do")
    # a wrong size in the header would cost gigabytes before anything else finds it out
    if len(ends) < math.prod(page.chunked):
        raise ValueError(
            f"{len(ends)} strips or tiles do not make {page.imagewidth}x{page.imagelength} pixels"
        )


def _require_whole_directories(stream: IO[bytes]) -> None:
    """ValueError if a page's directory, or a value that it points to, lies beyond the end of the file.

    tifffile takes the pages up to there and logs the rest, so that half a stack would pass for a whole one.
    """
    size = os.fstat(stream.fileno()).st_size
    head = stream.read(16)
    order, big = "<" if head[:2] == b"II" else ">", head[2:4] in {b"+\0", b"\0+"}
    word, count_format, entry = ("Q", "Q", f"{order}HHQ8s") if big else ("I", "H", f"{order}HHI4s")
    inline, entry_bytes = (8, 20) if big else (4, 12)
    (start,) = struct.unpack_from(f"{order}{word}", head, 8 if big else 4)
    seen: set[int] = set()
    try:
        while start and start not in seen:
            seen.add(start)
            stream.seek(start)
            (entries,) = struct.unpack(f"{order}{count_format}", stream.read(struct.calcsize(count_format)))
            table = stream.read(entries * entry_bytes)
            (start,) = struct.unpack(f"{order}{word}", stream.read(inline))
            for _tag, kind, count, value in struct.iter_unpack(entry, table):
                length = count * (_VALUE_BYTES[kind] if kind < len(_VALUE_BYTES) else 0)
                if length > inline and struct.unpack(f"{order}{word}", value)[0] + length > size:
                    raise ValueError("the file ends too early")
    except struct.error:
        raise ValueError("the file ends too early") from None
    finally:
        stream.seek(0)
    if not seen:
        raise ValueError("it holds no picture")
