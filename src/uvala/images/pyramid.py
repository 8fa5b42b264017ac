"""Results of any size as files that viewers open at once: tiled pyramids, as OME-TIFF and as OME-Zarr.

A pyramid is made in one pass and in the memory of a few blocks. A block of a level is put together from the
halves of the four blocks below it, depth first, and handed on as soon as it is complete. So each pixel of the
result is asked for once, and nothing is read again.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, Size
from uvala.errors import ShapeError
from uvala.files import replacing
from uvala.images.boxes import PixelFacts
from uvala.images.ome import ome_xml, ome_zarr_attributes
from uvala.images.stage import Layer
from uvala.images.tiles import TILE, Tiles, write_levels

__all__ = ["Reader", "write_ome_tiff", "write_ome_zarr"]

Reader = Callable[[Box], NDArray[Any]]
"""Gives the numbers of a box inside the image: [channels, height, width]."""

_BLOCK = 1024  # side in pixels of what is read at once, and of a chunk of a Zarr array
_BLOCK_BYTES = 2**24  # of which no more is read at once: many channels make smaller blocks
_SMALLEST = 1024  # the longest side of the smallest level: what a viewer shows as a whole
_TYPES = "u1 u2 u4 i1 i2 i4 f4 f8"  # that OME knows
_COLOURS = 256  # of a palette
_ZLIB: dict[str, Any] = {"id": "zlib", "level": 1}  # as Zarr 2 spells it


def write_ome_tiff(
    path: Path,
    read: Reader,
    size: Size,
    layer: Layer,
    *,
    facts: PixelFacts,
    names: Sequence[str] = (),
    colours: NDArray[np.uint8] | None = None,
    rgb: bool = False,
    nearest: bool,
) -> None:
    """Write an image as an OME-TIFF in tiles, with smaller and smaller versions of itself in SubIFDs.

    read: called once for each block of the image. layer: its channels and type; float16, which OME does not
    know, is written as float32. facts: the size of a pixel, and GeoTIFF tags. names: of the channels.
    colours: uint8 [N, 3], the colours of the numbers of a uint8 image of one channel. rgb: the three channels
    are the colours of a pixel, and are stored side by side. nearest: each level takes every second pixel of
    the level before, so that no class and no object's number appears that is not there; otherwise the means
    of 2 x 2.

    The pages are the channels. Tiles are compressed with deflate, without a predictor: QuPath, Fiji, napari
    and GDAL read that for all types. BigTIFF only where 4 GiB do not suffice. The same image makes the same
    file, byte by byte. It takes its name when it is complete.
    StorageError if there is no room, ShapeError for what cannot be written like this.
    """
    kind = Layer(layer.channels, np.dtype(np.float32) if layer.dtype == np.float16 else layer.dtype)
    _require(kind, names, colours, rgb, nearest)
    pyramid = _Pyramid(read, size, kind, nearest)
    description = ome_xml(_stem(path), size, kind, facts, names, rgb=rgb)
    with replacing(path) as temporary, Tiles(path, pyramid.sizes, kind, 3 if rgb else 1) as tiles:
        for block in pyramid.blocks():
            tiles.add(*block)
        write_levels(temporary, tiles, description, facts, palette=_palette(colours))


def write_ome_zarr(
    path: Path,
    read: Reader,
    size: Size,
    layer: Layer,
    *,
    facts: PixelFacts,
    names: Sequence[str] = (),
    colours: NDArray[np.uint8] | None = None,
    rgb: bool = False,
    nearest: bool,
) -> None:
    """Write an image as an OME-Zarr folder: a pyramid of arrays [C, H, W], or [H, W] of a single channel.

    The arguments are those of `write_ome_tiff`; float16 stays what it is. An image of whole numbers in one
    channel with `nearest` says of itself that it is a label image, with `colours` if there are any.

    Version 0.4 of the format on Zarr 2: what napari, Fiji, QuPath and OMERO have read for years, while 0.5 on
    Zarr 3 asks for recent versions of all of them. The chunks are compressed with zlib, which every reader
    has (Blosc is a library of its own for those written in Java). Chunks that are zero everywhere are not
    there.
    GeoTIFF's tags, for which the format has no place, stand in the attribute "geotiff_tags".
    """
    _require(layer, names, colours, rgb, nearest, more="f2")
    pyramid = _Pyramid(read, size, layer, nearest)
    with replacing(path) as temporary:
        import zarr  # takes its time, and most results are no Zarr

        group = zarr.open_group(temporary, mode="w", zarr_format=2)
        single = layer.channels == 1
        side = pyramid.side
        arrays = [
            group.create_array(
                str(level),
                shape=each if single else (layer.channels, *each),
                dtype=layer.dtype,
                chunks=(side, side) if single else (1, side, side),
                compressors=_ZLIB,
                chunk_key_encoding={"name": "v2", "separator": "/"},
                fill_value=0,
                config={"write_empty_chunks": False},
            )
            for level, each in enumerate(pyramid.sizes)
        ]
        for level, box, values in pyramid.blocks():
            if values is not None:
                arrays[level][..., *box.slices] = values[0] if single else values
        group.attrs.put(
            ome_zarr_attributes(
                _stem(path), pyramid.sizes, layer, facts, names, nearest=nearest, colours=colours, rgb=rgb
            )
        )


class Block(NamedTuple):
    """A block of a level, 0 being the finest: values [channels, height, width], or None if all are 0."""

    level: int
    box: Box
    values: NDArray[Any] | None


@dataclass(frozen=True)
class _Pyramid:
    """The levels of an image."""

    read: Reader
    size: Size
    layer: Layer
    nearest: bool

    @cached_property
    def sizes(self) -> list[Size]:
        """Of each level, from the finest on."""
        sizes = [self.size]
        while max(sizes[-1]) > _SMALLEST:
            sizes.append(Size(-(-sizes[-1].height // 2), -(-sizes[-1].width // 2)))
        return sizes

    @cached_property
    def side(self) -> int:
        """Of a block, in pixels."""
        bytes_per_pixel = self.layer.channels * self.layer.dtype.itemsize
        return _BLOCK if _BLOCK**2 * bytes_per_pixel <= _BLOCK_BYTES else TILE

    def blocks(self) -> Iterator[Block]:
        """All blocks of all levels, each after those that it is made of."""
        last = len(self.sizes) - 1
        for row in range(0, self.sizes[last].height, self.side):
            for column in range(0, self.sizes[last].width, self.side):
                yield from self._made(last, row // self.side, column // self.side)

    def _made(self, level: int, row: int, column: int) -> Generator[Block, None, NDArray[Any] | None]:
        """The blocks that this one is made of, and then itself; returns its values."""
        height, width = self.sizes[level]
        top, left = row * self.side, column * self.side
        box = Box(top, left, min(top + self.side, height), min(left + self.side, width))
        if level == 0:
            values = self._finest(box)
        else:
            values = yield from self._halved(level, row, column, box)
        yield Block(level, box, values)
        return values

    def _halved(
        self, level: int, row: int, column: int, box: Box
    ) -> Generator[Block, None, NDArray[Any] | None]:
        height, width = self.sizes[level - 1]
        half = self.side // 2
        values = None
        for below, down in ((2 * row, 0), (2 * row + 1, half)):
            for beside, right in ((2 * column, 0), (2 * column + 1, half)):
                if below * self.side >= height or beside * self.side >= width:
                    continue
                part = yield from self._made(level - 1, below, beside)
                if part is None:
                    continue
                if values is None:
                    values = np.zeros((self.layer.channels, box.height, box.width), self.layer.dtype)
                small = part[:, ::2, ::2] if self.nearest else _means(part)
                values[:, down : down + small.shape[1], right : right + small.shape[2]] = small
        return values

    def _finest(self, box: Box) -> NDArray[Any] | None:
        values = np.asarray(self.read(box))
        if values.shape != (self.layer.channels, box.height, box.width):
            raise ShapeError(
                found=f"{list(values.shape)} numbers for {box}",
                expected=f"{[self.layer.channels, box.height, box.width]}",
                fix="return exactly the pixels that were asked for",
            )
        return values.astype(self.layer.dtype, copy=False) if values.any() else None


def _means(values: NDArray[Any]) -> NDArray[Any]:
    """The means of 2 x 2 pixels, whole numbers rounded up from a half; at an odd edge, of those there are."""
    height, width = values.shape[1:]
    if height % 2 or width % 2:
        values = np.pad(values, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    whole = values.dtype.kind in "ui"
    wide = (
        (np.uint16 if values.dtype == np.uint8 else np.int64)
        if whole
        else np.promote_types(values.dtype, "f4")
    )
    total = values[:, ::2, ::2].astype(wide)
    for other in (values[:, ::2, 1::2], values[:, 1::2, ::2], values[:, 1::2, 1::2]):
        total += other
    return ((total + 2) >> 2 if whole else total / 4).astype(values.dtype)


def _palette(colours: NDArray[np.uint8] | None) -> NDArray[np.uint16] | None:
    """As a TIFF wants it: uint16 [3, 256]."""
    if colours is None:
        return None
    palette = np.zeros((3, _COLOURS), np.uint16)
    palette[:, : len(colours)] = colours.T.astype(np.uint16) * 257  # 255 becomes 65535
    return palette


def _stem(path: Path) -> str:
    return path.name.partition(".")[0] or path.name


def _require(
    layer: Layer,
    names: Sequence[str],
    colours: NDArray[np.uint8] | None,
    rgb: bool,
    nearest: bool,
    *,
    more: str = "",
) -> None:
    """ShapeError for what cannot be written."""
    channels, dtype = layer
    fits = dtype.str[1:] in f"{_TYPES} {more}".split() and channels > 0
    if colours is not None:
        shaped = colours.ndim == 2 and colours.shape[1] == 3 and len(colours) <= _COLOURS
        fits &= shaped and channels == 1 and dtype == np.uint8 and nearest
    if rgb:
        fits &= channels == 3 and dtype == np.uint8
    if not fits or (names and len(names) != channels):
        raise ShapeError(
            found=f"{channels} channels of {dtype}"
            + (f" with {len(names)} names" if names else "")
            + (f" with colours {list(colours.shape)}" if colours is not None else "")
            + (" as red, green and blue" if rgb else ""),
            expected=f"channels of one of {_TYPES} {more}, a name for each or none; one channel of uint8 "
            f"with up to {_COLOURS} colours; three of uint8 as red, green and blue",
            fix="convert the numbers, or leave out names and colours",
        )
