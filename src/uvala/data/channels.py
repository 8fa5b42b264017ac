"""Grey to RGB and RGB to grey, for data sets in which both occur."""

import numpy as np

from uvala.arrays import ImageArray
from uvala.errors import ShapeError

__all__ = ["convert_channels"]

_LUMA = (
    0.299,
    0.587,
    0.114,
)  # ITU-R BT.601; they sum to 1, so grey that was saved as RGB comes back unchanged


def convert_channels(image: ImageArray, channels: int | None) -> ImageArray:
    """The image [C, H, W] with 1 or 3 channels, in its own dtype; as it is if `channels` is None or its own.

    Grey is repeated, RGB is weighed by luminance. ShapeError for any other conversion.
    """
    if channels is None or len(image) == channels:
        return image
    if len(image) == 1 and channels == 3:
        return np.repeat(image, 3, axis=0)
    if len(image) == 3 and channels == 1:
        grey = np.tensordot(np.array(_LUMA), image, axes=1)[None]
        return (np.rint(grey) if image.dtype.kind in "iu" else grey).astype(image.dtype)
    raise ShapeError(
        found=f"an image of {len(image)} channel{'s' * (len(image) != 1)}",
        expected=f"1 or 3 channels, which can be converted to {channels}",
        fix="export the images with equal channels",
    )
