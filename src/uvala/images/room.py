"""Whether memory suffices for an image that can only be decoded as a whole."""

from pathlib import Path

from uvala.errors import ImageError
from uvala.machine import usable_memory

__all__ = ["require_room"]

_SMALL = 2**28  # bytes; for less nobody need ask


def require_room(path: Path, nbytes: int) -> None:
    """ImageError if `nbytes` of pixels, and a second copy while they are put in order, do not fit in memory.

    Without it the operating system would end the process, and with it all other images.
    """
    if nbytes <= _SMALL:
        return
    free = usable_memory().free
    if 2 * nbytes > free:
        raise ImageError(
            found=f"{path}, which would have to be decoded as a whole: {nbytes / 1e9:.1f} GB of pixels",
            expected=f"an image that fits twice into the free memory of {free / 1e9:.1f} GB",
            fix="cut it into smaller images; to predict it, save it as a tiled TIFF, or as OME-Zarr in "
            "chunks of 512x512 pixels, which are read part by part",
        )
