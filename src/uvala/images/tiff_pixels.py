"""What the samples of a TIFF mean by the tags of their page: colours, inks, alpha, palette, which way up."""

import numpy as np
import tifffile
from numpy.typing import NDArray

from uvala.arrays import ImageArray
from uvala.images.orientation import UPRIGHT
from uvala.images.pixels import Pixels

__all__ = ["orientation_of", "pixels_of"]

_LOSSY = {6, 7, 33007, 34892, 50001, 50002}  # old and new JPEG, ALT_JPEG, lossy DNG, WebP
_ALPHA = {tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA}


def pixels_of(keyframe: tifffile.TiffPage, array: ImageArray, pages: int) -> Pixels:
    """What samples [C, H, W], of so many pages, mean by the tags of a page; ValueError if nothing of use."""
    notes = _left_out(keyframe) + ((f"{pages} pages read as {pages} channels",) if pages > 1 else ())
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
        orientation=orientation_of(keyframe),
        white_is_zero=photometric == tifffile.PHOTOMETRIC.MINISWHITE,
        lossy=int(keyframe.compression) in _LOSSY,
        pages=pages,
        dtype=dtype,
        notes=notes,
    )


def _left_out(keyframe: tifffile.TiffPage) -> tuple[str, ...]:
    """That a file calls each of its pages an image of its own, of which the first one is read."""
    first, *others = keyframe.parent.series
    alike = 1 + sum((each.shape, each.dtype) == (first.shape, first.dtype) for each in others)
    return (f"the first of {alike} images in the file",) if alike > 1 else ()


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


def orientation_of(keyframe: tifffile.TiffPage) -> int:
    """The value of the orientation tag, 1 to 8."""
    tag = keyframe.tags.get(274)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else UPRIGHT
