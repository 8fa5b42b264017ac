"""Files to arrays: one function for an image, one for a mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ImageArray, Size
from uvala.errors import ImageError
from uvala.images.kinds import kind_of_file, named_errors, require_no_page
from uvala.images.orientation import upright
from uvala.images.pixels import Pixels
from uvala.images.raster import decode_npy, decode_raster, npy_size, raster_size
from uvala.images.slides import decode_slide, slide_size, slide_suffixes
from uvala.images.tiff import decode_tiff, tiff_pages, tiff_size
from uvala.images.zarr_image import decode_zarr, is_zarr, zarr_size

__all__ = [
    "IMAGE_SUFFIXES",
    "Image",
    "RawMask",
    "Source",
    "count_pages",
    "image_of",
    "image_size",
    "is_image",
    "read_image",
    "read_mask",
]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy"})
"""The endings, in lower case, under which images are looked for; how a file is read, its content decides."""


@dataclass(frozen=True, order=True)
class Source:
    """Where one image or mask lies: a file, and of a multi-page TIFF the page, counted from 0."""

    path: Path
    page: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.page is None else f"{self.path}#{self.page}"


@dataclass(frozen=True, eq=False)
class Image:
    """An image as read: [C, H, W] in the dtype of its file.

    notes: what was done to it or left out, each as a few words ("alpha channel dropped").
    """

    array: ImageArray
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawMask:
    """A mask as its file has it, before anybody knows what the values mean.

    values: integers [H, W], or colours uint8 [H, W, 3] where R, G and B differ somewhere.
    palette: uint8 [N, 3] if `values` are indices into it, as in a palette PNG.
    lossy: the file was compressed with loss (JPEG, lossy WebP), so its values are only near the drawn ones.
    dtype: of the pixels in the file ("uint8", "uint16", "bool", "float32").
    """

    values: NDArray[np.integer[Any]]
    palette: NDArray[np.uint8] | None = None
    lossy: bool = False
    dtype: str = "uint8"
    notes: tuple[str, ...] = ()


def read_image(source: Source | Path) -> Image:
    """The image of a file, or of one page of it, upright: [C, H, W] in the dtype of the file.

    EXIF orientation is applied. An alpha channel is dropped and CMYK becomes RGB, both noted; palette colours
    become RGB, or one channel if the palette is grey; one bit becomes 0 and 255, uint8. A TIFF of several
    axes: see `uvala.images.tiff`; an NPY array: see `channels_first` in `uvala.images.pixels`. NaN and
    infinity are kept.

    ImageError, with the name of the file, if it is missing, empty, damaged, cut off or no image.
    """
    with named_errors(_path_of(source)):
        return image_of(_decode(source))


def image_of(pixels: Pixels) -> Image:
    """The image that decoded pixels, of a whole picture or of a box of it, are seen as: see `read_image`."""
    array, notes = pixels.channels, pixels.notes
    if pixels.palette is not None:
        array = _look_up(array[0], pixels.palette)
    elif array.dtype == bool:
        array = np.where(array, np.uint8(255), np.uint8(0))
    if pixels.white_is_zero and array.dtype.kind == "u":
        array = np.iinfo(array.dtype).max - array
    if pixels.alpha is not None:
        notes += ("alpha channel dropped",)
    return Image(np.ascontiguousarray(upright(array, pixels.orientation)), notes)


def read_mask(source: Source | Path) -> RawMask:
    """The values of a mask file, or of one page of it, upright; what they mean is not asked here.

    Three equal channels become one. Palette files give indices and the palette. One bit becomes 0 and 255, a
    boolean NPY array 0 and 1, whole numbers stored as floats become integers. A TIFF that asks to be shown
    inverted keeps its values, for labels have no brightness. Alpha is dropped; a note tells if the drawing
    was only there.

    ImageError, with the name of the file, as for `read_image`, and for what cannot be a mask: fractions,
    NaN, two or more than three channels, several pages at once.
    """
    path = _path_of(source)
    with named_errors(path):
        return _mask(path, _decode(source))


def _mask(path: Path, pixels: Pixels) -> RawMask:
    channels = upright(pixels.channels, pixels.orientation)
    if pixels.pages > 1:
        raise ImageError(
            found=f"{path}, a mask of {pixels.pages} pages",
            expected="one page for one image",
            fix="give the image as a stack of as many pages, or save each page as a file",
        )
    if len(channels) == 3 and (channels == channels[:1]).all():
        channels = channels[:1]
    if len(channels) not in {1, 3}:
        raise ImageError(
            found=f"{path}, a mask of {len(channels)} channels",
            expected="one channel of class numbers, or three of colours",
            fix="save it as one channel; of one mask per class, take the number of the largest (argmax)",
        )
    values = _whole_numbers(path, channels)
    if pixels.white_is_zero and pixels.dtype == "bool":
        values = 255 - values
    return RawMask(
        values=np.ascontiguousarray(values[0] if len(values) == 1 else _colours(path, values)),
        palette=pixels.palette,
        lossy=pixels.lossy,
        dtype=pixels.dtype,
        notes=pixels.notes + _alpha_notes(pixels),
    )


def image_size(source: Source | Path) -> Size:
    """Height and width of what `read_image` would return, without decoding a pixel. ImageError as there."""
    path = _path_of(source)
    with named_errors(path):
        kind = kind_of_file(path)
        return _SIZES[kind](path) if kind in _SIZES else raster_size(path, kind)


def count_pages(path: Path) -> int:
    """How many images of one size a file holds: 1, or the pages of a TIFF. ImageError as for `read_image`.

    Samples per pixel, planes and axes that the file calls channels do not count. Pages that nothing tells
    from channels do: `read_image` takes up to 16 of them as channels when no page is named.
    """
    with named_errors(path):
        return tiff_pages(path) if kind_of_file(path) == "tiff" else 1


def is_image(path: Path) -> bool:
    """Whether a search of folders takes this for an image: a file by its ending, a folder if it is a Zarr.

    Endings of whole slides count where tiffslide or OpenSlide is installed. What is hidden is passed over. A
    link to nothing is one: whoever reads it hears so, and no image is lost in silence.
    """
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return is_zarr(path)
    suffix = path.suffix.lower()
    return (suffix in IMAGE_SUFFIXES or suffix in slide_suffixes()) and (path.is_file() or path.is_symlink())


def _path_of(source: Source | Path) -> Path:
    return source.path if isinstance(source, Source) else Path(source)


def _decode(source: Source | Path) -> Pixels:
    path = _path_of(source)
    page = source.page if isinstance(source, Source) else None
    kind = kind_of_file(path)
    if kind == "tiff":
        return decode_tiff(path, page)
    require_no_page(path, page)
    return _DECODERS[kind](path) if kind in _DECODERS else decode_raster(path, kind)


_SIZES = {"tiff": tiff_size, "npy": npy_size, "zarr": zarr_size, "slide": slide_size}
_DECODERS = {"npy": decode_npy, "zarr": decode_zarr, "slide": decode_slide}


def _look_up(indices: NDArray[Any], palette: NDArray[np.uint8]) -> ImageArray:
    """Colours [3, H, W] of palette indices [H, W]; [1, H, W] where all colours of the palette are grey."""
    table = np.zeros(
        (int(np.iinfo(indices.dtype).max) + 1, 3), np.uint8
    )  # an index beyond the palette is black
    table[: len(palette)] = palette
    if (palette == palette[:, :1]).all():
        return table[:, 0][indices][None]
    return np.moveaxis(table[indices], -1, 0)


def _whole_numbers(path: Path, channels: ImageArray) -> NDArray[np.integer[Any]]:
    if channels.dtype == bool:
        return channels.astype(np.uint8)
    if channels.dtype.kind in "ui":
        return channels
    finite = channels[np.isfinite(channels)].astype(np.float64)
    if finite.size == channels.size and (np.abs(finite) < 2**31).all() and (finite == np.trunc(finite)).all():
        return channels.astype(np.int32)
    low, high = finite.min(initial=0), finite.max(initial=0)
    looks_like = "a mask of probabilities" if low >= 0 and high <= 1 else "a mask of fractions"
    if finite.size < channels.size:
        looks_like = "a mask with NaN or infinity"
    raise ImageError(
        found=f"{path}, {looks_like} ({channels.dtype}, {low:.3g} to {high:.3g})",
        expected="whole numbers: a class or an object for each pixel",
        fix="cut at a threshold and save as integers (mask > 0.5)",
    )


def _colours(path: Path, values: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """uint8 [H, W, 3] of [3, H, W]."""
    if values.dtype == np.uint16 and values.max() > 255 and (values % 257 == 0).all():
        values = values // 257  # 8-bit colours stretched to 16 bits: 255 became 65535
    if values.min() < 0 or values.max() > 255:
        raise ImageError(
            found=f"{path}, a mask of {values.dtype} colours up to {values.max()}",
            expected="colours of 8 bits per channel, or one channel of numbers",
            fix="save it with 8 bits per channel",
        )
    return values.astype(np.uint8).transpose(1, 2, 0)


def _alpha_notes(pixels: Pixels) -> tuple[str, ...]:
    if pixels.alpha is None:
        return ()
    flat = (pixels.channels == pixels.channels[:, :1, :1]).all()
    if flat and (pixels.alpha != pixels.alpha[0, 0]).any():
        return ("alpha channel dropped, although only it holds a drawing: save the mask as opaque colours",)
    return ("alpha channel dropped",)
