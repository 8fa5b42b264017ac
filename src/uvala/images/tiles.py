"""Tiles of a TIFF: encoded in the order in which they come, and written in the order of the file."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from uvala.arrays import Box, Size, cells
from uvala.files import storage_errors
from uvala.images.boxes import PixelFacts
from uvala.images.ome import MICROMETRES, placing
from uvala.images.stage import Layer

__all__ = ["TILE", "Tiles", "write_levels"]

TILE = 512
"""Side of a tile in pixels, as QuPath writes them."""

_LEVEL = 6  # of deflate, its own default
_MOST = 2**32 - 2**25  # bytes of a TIFF that is not a BigTIFF, less its tags
_PER_TILE = 16  # bytes of a tile's place and length, in the file
_CENTIMETRE = 1e4  # in micrometres


class Tiles:
    """The encoded tiles of all levels, in a file without a name that goes when it is closed.

    beside: the file that is to be written, on whose disk it lies. sizes: of the levels. layer: what is known
    of each pixel. samples: how many of the layer's channels lie side by side in a pixel of a tile; the others
    make pictures (planes) of their own.
    """

    def __init__(self, beside: Path, sizes: Sequence[Size], layer: Layer, samples: int) -> None:
        self.beside, self.sizes, self.dtype, self.samples = beside, sizes, layer.dtype, samples
        self.planes = layer.channels // samples
        with storage_errors(beside):
            self._stream: IO[bytes] = tempfile.TemporaryFile(dir=beside.parent)  # noqa: SIM115 - closed in __exit__
        self._end = 0
        # where each tile begins, and how long it is
        self._places = [
            np.zeros((self.planes, *(-(-side // TILE) for side in size), 2), np.int64) for size in sizes
        ]
        self._plain: dict[
            bytes, tuple[int, int]
        ] = {}  # tiles of one colour: encoded once, however many there are
        self._empty = self._store(np.zeros((samples, TILE, TILE), self.dtype))

    def __enter__(self) -> "Tiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    @property
    def nbytes(self) -> int:
        """Bytes of the file to be written, but for its tags."""
        return sum(int(places[..., 1].sum()) + _PER_TILE * places[..., 1].size for places in self._places)

    def add(self, level: int, box: Box, values: NDArray[Any] | None) -> None:
        """Take a box of a level, cut at multiples of TILE: [channels, height, width], or None for zeros."""
        for plane in range(self.planes):
            for cell in cells(box, TILE):
                place = self._empty
                if values is not None:
                    first = plane * self.samples
                    place = self._store(values[first : first + self.samples, *cell.of_box])
                self._places[level][plane, cell.row, cell.column] = place

    def of(self, level: int, plane: int) -> Iterator[bytes]:
        """The tiles of a picture, row by row."""
        for begin, length in self._places[level][plane].reshape(-1, 2).tolist():
            self._stream.seek(begin)
            yield self._stream.read(length)

    def _store(self, tile: NDArray[Any]) -> tuple[int, int]:
        """Where a tile [samples, height, width] lies from now on, and how long it is."""
        full = np.zeros((TILE, TILE, self.samples), self.dtype)  # as large at the image's edge as elsewhere
        full[: tile.shape[1], : tile.shape[2]] = np.moveaxis(tile, 0, -1)
        colour = full[0, 0]
        if not (full == colour).all():
            return self._append(full)
        if colour.tobytes() not in self._plain:
            self._plain[colour.tobytes()] = self._append(full)
        return self._plain[colour.tobytes()]

    def _append(self, full: NDArray[Any]) -> tuple[int, int]:
        """Encode a tile [TILE, TILE, samples]; where it lies, and how long it is."""
        # a TIFF that says that it is little-endian must be
        pixels = full.astype(self.dtype.newbyteorder("<"), copy=False).tobytes()
        encoded = imagecodecs.deflate_encode(pixels, level=_LEVEL)
        with storage_errors(self.beside):
            self._stream.write(encoded)
        begin, self._end = self._end, self._end + len(encoded)
        return begin, len(encoded)


def write_levels(
    path: Path,
    tiles: Tiles,
    description: str,
    facts: PixelFacts,
    *,
    palette: NDArray[np.uint16] | None = None,
) -> None:
    """Write a TIFF with a page per plane, each with its smaller levels in SubIFDs.

    description: of the first page, ASCII. palette: uint16 [3, 256].
    """
    common: dict[str, Any] = {
        "dtype": tiles.dtype,
        "tile": (TILE, TILE),
        "compression": "deflate",
        "photometric": _photometric(tiles.samples, palette),
        "metadata": None,
        "software": "uvala",
    }
    if palette is not None:
        common["colormap"] = palette
    georeference = [(*tag, False) for tag in placing(facts)]
    big = tiles.nbytes > _MOST
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<", ome=False) as tiff:
        for plane in range(tiles.planes):
            for level, size in enumerate(tiles.sizes):
                finest = level == 0
                tiff.write(
                    tiles.of(level, plane),
                    shape=(*size, tiles.samples) if tiles.samples > 1 else size,
                    subifds=len(tiles.sizes) - 1 if finest else 0,
                    subfiletype=0 if finest else 1,  # 1: another one, smaller
                    description=description if finest and plane == 0 else None,
                    extratags=georeference if finest else [],
                    **common,
                    **_resolution(facts, 2**level),
                )


def _photometric(samples: int, palette: NDArray[np.uint16] | None) -> str:
    if palette is not None:
        return "palette"
    return "rgb" if samples > 1 else "minisblack"


def _resolution(facts: PixelFacts, pixels: int) -> dict[str, Any]:
    """Tags that say how many pixels there are to a centimetre, each as long as `pixels` of the finest."""
    micrometres = MICROMETRES.get(facts.unit)
    if facts.spacing is None or micrometres is None:
        return {}
    height, width = (_CENTIMETRE / (side * micrometres * pixels) for side in facts.spacing)
    return {"resolution": (width, height), "resolutionunit": "CENTIMETER"}
