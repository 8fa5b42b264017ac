"""PNG, JPEG, BMP, GIF and WebP through Pillow, NPY through NumPy: bytes to pixels."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from uvala.arrays import Box, Size
from uvala.images.boxes import StoredImage
from uvala.images.containers import Container, open_bmp, open_gif, open_jpeg, open_png, open_webp
from uvala.images.orientation import swaps_sides
from uvala.images.pixels import Pixels, channels_first
from uvala.images.room import require_room

__all__ = ["decode_npy", "decode_raster", "npy_size", "open_npy", "raster_size"]

# PIL.Image.open warns of, or refuses, pictures above a size that is kept in a global variable. The classes
# behind it, one per format, do not.
_OPENERS = {"png": open_png, "jpeg": open_jpeg, "webp": open_webp, "gif": open_gif, "bmp": open_bmp}
_READERS: dict[str, type[ImageFile]] = {
    "png": PngImageFile,
    "jpeg": JpegImageFile,
    "webp": WebPImageFile,
    "gif": GifImageFile,
    "bmp": BmpImageFile,
}
FIRST_FRAME = "first frame of an animation"


def raster_size(path: Path, kind: str) -> Size:
    """Height and width of the upright picture, from the file's header. ValueError if the file is damaged."""
    container = _OPENERS[kind](path.read_bytes())
    height, width = container.size
    return Size(width, height) if swaps_sides(container.orientation) else container.size


def decode_raster(path: Path, kind: str) -> Pixels:
    """The pixels of a PNG, JPEG, WebP, GIF or BMP. ValueError or what Pillow raises if it is damaged."""
    container = _OPENERS[kind](path.read_bytes())
    if container.deep_colour:
        _require_room(path, container.size, 8)
        return _deep_colour(container)
    if kind == "webp" and container.size.height * container.size.width > 2 * _pillow_limit():
        _require_room(path, container.size, 4)
        return _large_webp(container)
    with _READERS[kind](io.BytesIO(container.pixels)) as picture:
        deep = 2 if picture.mode.startswith("I") else 1
        _require_room(path, container.size, deep * len(picture.getbands()))
        return _from_pillow(picture, container)


def _require_room(path: Path, size: Size, pixel_bytes: int) -> None:
    require_room(path, size.height * size.width * pixel_bytes)


def _from_pillow(picture: ImageFile, container: Container) -> Pixels:
    palette = alpha = None
    notes: tuple[str, ...] = ()
    mode, dtype = picture.mode, "uint8"
    if mode == "CMYK":
        array = np.asarray(picture.convert("RGB"))
        notes += ("CMYK converted to RGB",)
    else:
        array = np.asarray(picture)
    if mode == "1":
        array, dtype = np.where(array, np.uint8(255), np.uint8(0)), "bool"
    elif mode == "P":
        palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    elif mode in {"LA", "RGBA"}:
        array, alpha = array[..., :-1], array[..., -1]
        array = array[..., 0] if mode == "LA" else array
    elif mode.startswith("I"):  # 16-bit grey; Pillow before 11.3 widens it to 32 bits
        array, dtype = array.astype(np.uint16), "uint16"
    if "transparency" in picture.info:
        notes += ("transparent colours read as opaque",)
    if container.animated or getattr(picture, "is_animated", False):
        notes += (FIRST_FRAME,)
    return Pixels(
        channels=array[None] if array.ndim == 2 else array.transpose(2, 0, 1),
        alpha=alpha,
        palette=palette,
        orientation=container.orientation,
        lossy=container.lossy,
        dtype=dtype,
        notes=notes,
    )


def _deep_colour(container: Container) -> Pixels:
    """A PNG of 16 bits and several channels, which Pillow would cut to 8 bits without a word."""
    import imagecodecs  # costs 50 ms, and few files need it

    array = imagecodecs.png_decode(container.pixels)  # [H, W, C]
    has_alpha = array.shape[-1] in {2, 4}
    return Pixels(
        channels=array[..., : array.shape[-1] - has_alpha].transpose(2, 0, 1),
        alpha=array[..., -1] if has_alpha else None,
        orientation=container.orientation,
        dtype="uint16",
        notes=(FIRST_FRAME,) if container.animated else (),
    )


def _large_webp(container: Container) -> Pixels:
    """A WebP that is larger than Pillow agrees to read."""
    import imagecodecs

    array = imagecodecs.webp_decode(container.pixels, index=0)
    return Pixels(
        channels=array[..., :3].transpose(2, 0, 1),
        alpha=array[..., 3] if array.shape[-1] == 4 else None,
        orientation=container.orientation,
        lossy=container.lossy,
        notes=(FIRST_FRAME,) if container.animated else (),
    )


def _pillow_limit() -> float:
    return PIL.Image.MAX_IMAGE_PIXELS or float("inf")


def npy_size(path: Path) -> Size:
    """Height and width of the array in an NPY file, from its header."""
    _, height, width = channels_first(_mapped(path)).shape
    return Size(height, width)


def open_npy(path: Path) -> StoredImage:
    """The array of an NPY file as an image whose boxes are read from the file; ValueError as `decode_npy`."""
    array = channels_first(_mapped(path))
    size, nbytes = Size(*array.shape[1:]), array.nbytes

    def read(box: Box) -> Pixels:
        # mapped anew for each box: pages of a file count as memory of the process while they are mapped
        return _npy_pixels(np.array(channels_first(_mapped(path))[:, *box.slices]))

    return StoredImage(size, nbytes, read)


def decode_npy(path: Path) -> Pixels:
    """The array of an NPY file: [H, W], [H, W, C] or [C, H, W], see `channels_first`.

    Numbers and booleans only; ValueError for objects, text, complex numbers and for a file that ends early.
    """
    require_room(path, _mapped(path).nbytes)
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return _npy_pixels(channels_first(_numbers(array)))


def _npy_pixels(channels: NDArray[Any]) -> Pixels:
    array = channels.astype(channels.dtype.newbyteorder("="), copy=False)
    return Pixels(channels=array, dtype=array.dtype.name)


def _mapped(path: Path) -> NDArray[Any]:
    return _numbers(np.load(path, mmap_mode="r", allow_pickle=False))


def _numbers(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "buif":
        raise ValueError(f"an array of {array.dtype}")
    return array
