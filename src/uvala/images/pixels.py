"""What every decoder hands back: the pixels as the file has them, and what the file says about them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import ImageArray
from uvala.errors import ImageError

__all__ = ["Pixels", "channels_axis", "channels_first", "damaged"]

MOST_UNNAMED_CHANNELS = 16
"""An axis without a name is channels only up to here; a longer one is a stack of images."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """One decoded image, not yet turned upright.

    channels: [C, H, W] without the alpha channel, in the dtype of the file (native byte order).
    alpha: [H, W] if the file has one. palette: uint8 [N, 3] if `channels` holds indices into it.
    orientation: the EXIF value, 1 to 8. white_is_zero: the file asks for its values to be shown inverted.
    pages: how many pages of a TIFF were put together as channels. dtype: of the file, in words.
    """

    channels: ImageArray
    alpha: NDArray[Any] | None = None
    palette: NDArray[np.uint8] | None = None
    orientation: int = 1
    white_is_zero: bool = False
    lossy: bool = False
    pages: int = 1
    dtype: str = "uint8"
    notes: tuple[str, ...] = ()


def channels_first(array: NDArray[Any]) -> ImageArray:
    """[H, W], [H, W, C] or [C, H, W] as [C, H, W]; ValueError if no axis can be the channels.

    With three axes the channels are the shortest one, the last if first and last are equally short, and at
    most 16: an image of fewer rows or columns than channels is rarer than either order of the axes.
    """
    channels = channels_axis(array.shape)
    return array[None] if channels is None else np.moveaxis(array, channels, 0)


def channels_axis(shape: tuple[int, ...]) -> int | None:
    """Which axis of an array of this shape holds the channels, None if none does: see `channels_first`."""
    if 0 in shape:
        raise ValueError(f"no pixel in an array of {list(shape)}")
    if len(shape) == 2:
        return None
    if len(shape) != 3:
        raise ValueError(f"{len(shape)} axes {list(shape)}")
    channels = min((2, 0, 1), key=lambda axis: shape[axis])
    if shape[channels] > MOST_UNNAMED_CHANNELS:
        raise ValueError(f"three axes {list(shape)}, none of which is short enough to be channels")
    if channels == 1:
        raise ValueError(f"three axes {list(shape)} with the shortest in the middle")
    return channels


def damaged(path: Path, why: str) -> ImageError:
    """The error for a file that begins as an image and does not hold one."""
    return ImageError(
        found=f"{path}, which is damaged ({why})",
        expected="a whole image file",
        fix="copy or export it again, or take it out of the data",
    )
