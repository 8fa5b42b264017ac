"""Arrays to files: masks in the user's own encoding, probabilities, pictures."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from uvala.arrays import ImageArray
from uvala.errors import ImageError, ShapeError
from uvala.files import write_bytes, write_with

__all__ = ["encode_png", "encode_webp", "write_mask", "write_probabilities", "write_rgb"]

_TIFF = {".tif", ".tiff"}


def write_mask(
    path: Path, values: NDArray[np.integer[Any]], palette: NDArray[np.uint8] | None = None
) -> Path:
    """Write a mask without loss and return where it lies; the suffix of `path` says PNG, TIFF or NPY.

    values: integers [H, W], or colours uint8 [H, W, 3]. palette: uint8 [N, 3]; the values are then indices
    and the PNG is a palette PNG. uint8 and uint16 keep their depth in the file; wider integers get the
    smallest depth that holds them, and a mask beyond what PNG holds (0 to 65535) goes to a `.tif` beside it.

    ShapeError for other arrays; ImageError for the name of a format that loses values, such as JPEG.
    """
    values = _mask_values(values, palette)
    suffix = path.suffix.lower()
    if suffix == ".png" and values.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        path = path.with_suffix(".tif")
    elif suffix == ".png":
        write_bytes(path, encode_png(values, palette))
        return path
    elif suffix == ".npy":
        write_with(path, lambda stream: np.save(stream, values))
        return path
    elif suffix not in _TIFF:
        raise ImageError(
            found=f"{path} as the name of a mask",
            expected="a format that keeps every value: .png, .tif or .npy",
            fix="choose one of these",
        )
    _write_tiff(path, values, photometric="rgb" if values.ndim == 3 else "minisblack")
    return path


def write_probabilities(path: Path, probabilities: NDArray[np.float32]) -> None:
    """Write probabilities, float32 [K, H, W], as a TIFF of K pages that says that its pages are channels."""
    if probabilities.ndim != 3 or probabilities.dtype.kind != "f":
        raise ShapeError(
            found=f"probabilities {probabilities.dtype} {list(probabilities.shape)}",
            expected="floats [K, H, W]",
            fix="give one map per class",
        )
    array = probabilities.astype(np.float32, copy=False)
    _write_tiff(path, array, photometric="minisblack", metadata={"axes": "CYX"}, predictor=True)


def write_rgb(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 [H, W, 3], as PNG."""
    write_bytes(path, encode_png(picture))


def encode_png(array: NDArray[Any], palette: NDArray[np.uint8] | None = None) -> bytes:
    """A PNG: grey from uint8 or uint16 [H, W], colour from uint8 [H, W, 3], indices with uint8 [N, 3]."""
    picture = PIL.Image.fromarray(np.ascontiguousarray(array))
    if palette is not None:
        picture.putpalette(np.ascontiguousarray(palette, np.uint8).tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def encode_webp(array: NDArray[np.uint8], quality: int) -> bytes:
    """A WebP of uint8 [H, W] or [H, W, 3]; quality 0 to 100, smaller files at lower quality."""
    stream = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(array)).convert("RGB").save(
        stream, "WEBP", quality=quality, method=2
    )  # twice as fast as the default for 5% more bytes
    return stream.getvalue()


def _mask_values(
    values: NDArray[np.integer[Any]], palette: NDArray[np.uint8] | None
) -> NDArray[np.integer[Any]]:
    """`values` in the dtype of the file: uint8 or uint16 if they can be, else int32."""
    colours = values.ndim == 3 and values.shape[-1] == 3 and values.dtype == np.uint8
    if values.dtype.kind not in "ui" or values.size == 0 or not (values.ndim == 2 or colours):
        raise ShapeError(
            found=f"a mask {values.dtype} {list(values.shape)}",
            expected="integers [H, W], or colours uint8 [H, W, 3]",
            fix="give one number or one colour per pixel",
        )
    low, high = int(values.min()), int(values.max())
    if palette is not None and (colours or low < 0 or high >= min(len(palette), 256)):
        raise ShapeError(
            found=f"mask values {low} to {high} and a palette of {len(palette)} colours",
            expected="an index into the palette at each pixel",
            fix="give a colour for each value, at most 256",
        )
    if palette is not None:
        return values.astype(np.uint8)
    if values.dtype in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        return values
    for dtype in (np.uint8, np.uint16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    raise ShapeError(
        found=f"mask values {low} to {high}", expected="values that fit into 32 bits", fix="renumber them"
    )


def _write_tiff(path: Path, array: ImageArray, **options: Any) -> None:
    import tifffile  # the report writes PNG and WebP only

    # a classic TIFF ends at 4 GiB, and what deflate leaves of an array is not known before
    big = array.nbytes > 2**31
    stream = io.BytesIO()  # tifffile asks a file for its name, and a temporary one has none
    tifffile.imwrite(stream, array, compression="deflate", bigtiff=big, **options)
    write_bytes(path, stream.getvalue())
