"""Which way up a picture is: cameras store it as the sensor was held and add a number from 1 to 8.

Source: Exif 2.32, tag 274 (0x0112), in a block that is itself a small TIFF. It is read here and not through
Pillow, which warns or raises on other tags of the block that nobody needs.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, Size

__all__ = ["UPRIGHT", "exif_orientation", "stored_box", "swaps_sides", "upright"]

UPRIGHT = 1
_TAG = 274


def exif_orientation(block: bytes) -> int:
    """The orientation, 1 to 8, that an EXIF block tells; 1 if it tells none or is broken."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        for entry in range(count):
            tag, _kind, _length, value = struct.unpack_from(f"{order}HHIH", block, start + 2 + 12 * entry)
            if tag == _TAG:
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:  # cut off: the same as not told
        pass
    return UPRIGHT


def swaps_sides(orientation: int) -> bool:
    """Whether the upright picture is as wide as the stored one is high."""
    return orientation >= 5


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """`array` [..., H, W] turned as its orientation asks: [..., H, W], or [..., W, H] from 5 on."""
    rows, columns = slice(None, None, -1), slice(None, None, -1)
    if swaps_sides(orientation):
        array = np.swapaxes(array, -1, -2)
    if orientation in {3, 4, 7, 8}:
        array = array[..., rows, :]
    if orientation in {2, 3, 6, 7}:
        array = array[..., columns]
    return array


def stored_box(box: Box, size: Size, orientation: int) -> Box:
    """Where a box of the upright picture, which has this size, lies in the stored one; see `upright`."""
    if orientation in {2, 3, 6, 7}:
        box = box._replace(left=size.width - box.right, right=size.width - box.left)
    if orientation in {3, 4, 7, 8}:
        box = box._replace(top=size.height - box.bottom, bottom=size.height - box.top)
    return Box(box.left, box.top, box.right, box.bottom) if swaps_sides(orientation) else box
