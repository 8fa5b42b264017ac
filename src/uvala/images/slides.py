"""Whole slides of pathology, whose finest level is read tile by tile.

tiffslide, pure Python, reads those that are TIFFs within: Aperio, Hamamatsu (.ndpi), Leica. For the others,
and for these without tiffslide, OpenSlide is asked where it is installed. Aperio's are plain enough to be
read as any TIFF without either.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from uvala.arrays import Box, ImageArray, Size
from uvala.errors import ImageError
from uvala.images.boxes import PixelFacts, StoredImage, spacing_of
from uvala.images.chunks import Chunks, Grid, Piece, in_chunks
from uvala.images.pixels import Pixels
from uvala.images.room import require_room
from uvala.images.tiff_integrity import require_whole_segments

__all__ = ["decode_slide", "is_slide", "open_slide", "slide_size", "slide_suffixes"]

_READERS = {
    ".svs": ("tiffslide", "openslide"),
    ".ndpi": ("tiffslide", "openslide"),
    ".scn": ("tiffslide", "openslide"),
    ".bif": ("openslide",),
    ".mrxs": ("openslide",),
    ".svslide": ("openslide",),
    ".vms": ("openslide",),
    ".vmu": ("openslide",),
}
"""What reads which ending, the preferred one first."""

_PLAIN = ".svs"
_TILE = Size(512, 512)  # read at a time where the slide does not say how it is cut


@dataclass(frozen=True, eq=False)
class _Slide:
    """An opened slide. read: [height, width, samples] of a box of its finest level."""

    size: Size
    tile: Size
    facts: PixelFacts
    read: Callable[[Box], ImageArray]


def slide_suffixes() -> frozenset[str]:
    """The endings, in lower case, of the slides that what is installed can read."""
    return frozenset(suffix for suffix in _READERS if _reader(suffix))


def is_slide(path: Path) -> bool:
    """Whether a file is read as a slide, which its ending tells.

    ImageError for a slide that nothing installed can read: as an image of another kind it would be a picture
    of its label or of the whole glass.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS or _reader(suffix):
        return suffix in _READERS
    if suffix == _PLAIN:
        return False
    raise _unread(path, "not installed")


def _unread(path: Path, why: str) -> ImageError:
    package = _READERS[path.suffix.lower()][0]
    extra = "'uvala[slides]'" if package == "tiffslide" else "openslide-python openslide-bin"
    return ImageError(
        found=f"{path}, a whole slide",
        expected=f"{package}, which reads {path.suffix} files ({why})",
        fix=f"pip install {extra}",
    )


def slide_size(path: Path) -> Size:
    """Height and width of the finest level of a slide. Errors as `open_slide`."""
    with _opened(path) as slide:
        return slide.size


def decode_slide(path: Path) -> Pixels:
    """All pixels of the finest level of a slide. Errors as `open_slide`, and ImageError if too large."""
    with _opened(path) as slide:
        grid = _grid(slide)
        require_room(path, grid.nbytes)
        # tile by tile as well: not every reader takes a region of any size
        return _pixels(Chunks(grid, partial(_load, slide)).read(Box(0, 0, *slide.size)))


@contextmanager
def open_slide(path: Path, memory: int | None = None) -> Iterator[StoredImage]:
    """The finest level of a slide as an image whose boxes are read as long as the block lasts.

    memory: as of `Chunks`. ValueError, or what its reader raises, if it is damaged.
    """
    with _opened(path) as slide:
        grid = _grid(slide)
        raw, notes, let_go = in_chunks(grid, partial(_load, slide), memory)
        read = None if raw is None else (lambda box: _pixels(raw(box)))
        yield StoredImage(slide.size, grid.nbytes, read, facts=slide.facts, notes=notes, let_go=let_go)


def _grid(slide: _Slide) -> Grid:
    first = slide.read(Box(0, 0, 1, 1))
    samples = first.shape[-1]
    return Grid(samples, slide.size, first.dtype, slide.tile, depth=samples).grouped()


def _load(slide: _Slide, piece: Piece) -> ImageArray:
    return np.ascontiguousarray(slide.read(piece.box).transpose(2, 0, 1))


def _pixels(array: ImageArray) -> Pixels:
    colours, alpha = (array[:3], array[3]) if len(array) == 4 and array.dtype == np.uint8 else (array, None)
    return Pixels(channels=colours, alpha=alpha, lossy=True, dtype=array.dtype.name)


def _reader(suffix: str) -> str | None:
    return next((name for name in _READERS[suffix] if find_spec(name) is not None), None)


@contextmanager
def _opened(path: Path) -> Iterator[_Slide]:
    with ExitStack() as stack:
        opener = _OPENERS[_reader(path.suffix.lower()) or ""]
        # both packages warn of what they do not know of a format, which is not about its pixels
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                slide = opener(path, stack)
            except ImportError as error:  # openslide-python without the library itself
                raise _unread(path, " ".join(str(error).split())) from error
        yield slide


def _by_tiffslide(path: Path, stack: ExitStack) -> _Slide:
    from tiffslide import TiffSlide

    slide = stack.enter_context(TiffSlide(path))
    said = slide.properties
    _require_whole(slide, said)
    width, height = slide.dimensions
    tile = Size(*(said.get(f"tiffslide.level[0].tile-{side}") or 0 for side in ("height", "width")))
    return _Slide(
        size=Size(height, width),
        tile=tile if min(tile) > 0 else _TILE,
        facts=_facts(said, "tiffslide"),
        read=lambda box: slide.read_region((box.left, box.top), 0, (box.width, box.height), as_array=True),
    )


def _require_whole(slide: Any, said: Mapping[str, Any]) -> None:
    composed = said.get("tiffslide.series-composition") or {}
    file = slide.ts_tifffile
    for number in composed.get("located_series") or [said["tiffslide.series-index"]]:
        for page in file.series[number].pages:
            require_whole_segments(page, file.filehandle.size)


def _by_openslide(path: Path, stack: ExitStack) -> _Slide:
    from openslide import OpenSlide

    slide = stack.enter_context(OpenSlide(path))
    width, height = slide.dimensions

    def read(box: Box) -> ImageArray:
        region = np.asarray(slide.read_region((box.left, box.top), 0, (box.width, box.height)))
        # where nothing was scanned the slide is transparent; the glass beside it is white
        return np.where(region[..., 3:] > 0, region[..., :3], np.uint8(255))

    return _Slide(Size(height, width), _TILE, _facts(slide.properties, "openslide"), read)


def _facts(said: Mapping[str, Any], reader: str) -> PixelFacts:
    return spacing_of(said.get(f"{reader}.mpp-y"), said.get(f"{reader}.mpp-x"), "um")


_OPENERS = {"tiffslide": _by_tiffslide, "openslide": _by_openslide}
