"""An image of which boxes are read: as its file stores it, as it is seen, and what is known of its pixels."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from uvala.arrays import Box, ImageArray, Size
from uvala.images.orientation import UPRIGHT, swaps_sides
from uvala.images.pixels import Pixels

__all__ = ["LazyImage", "PixelFacts", "StoredImage", "in_memory", "spacing_of"]

# How many micrometres, or metres, a unit is: below a metre all are told in um, from there on in m.
_UNITS = {
    "nm": (1e-3, "um"),
    "nanometer": (1e-3, "um"),
    "nanometre": (1e-3, "um"),
    "um": (1.0, "um"),
    "µm": (1.0, "um"),  # the micro sign
    "\u03bcm": (1.0, "um"),  # the Greek letter, which looks the same
    "micron": (1.0, "um"),
    "microns": (1.0, "um"),
    "micrometer": (1.0, "um"),
    "micrometre": (1.0, "um"),
    "mm": (1e3, "um"),
    "millimeter": (1e3, "um"),
    "millimetre": (1e3, "um"),
    "cm": (1e4, "um"),
    "centimeter": (1e4, "um"),
    "centimetre": (1e4, "um"),
    "inch": (25400.0, "um"),
    "m": (1.0, "m"),
    "meter": (1.0, "m"),
    "metre": (1.0, "m"),
    "km": (1e3, "m"),
    "kilometer": (1e3, "m"),
    "kilometre": (1e3, "m"),
}


@dataclass(frozen=True)
class PixelFacts:
    """What a file says of its pixels besides their numbers.

    spacing: height and width of a pixel in `unit`; None where the file is silent. unit: "um", "m", or "px"
    without a spacing. channels: their names, as many as there are channels, or none. geo: the GeoTIFF tags as
    (code, type, count, value), for a TIFF on the same grid of pixels.
    """

    spacing: tuple[float, float] | None = None
    unit: str = "px"
    channels: tuple[str, ...] = ()
    geo: tuple[tuple[int, int, int, Any], ...] = ()

    def fitting(self, channels: int, orientation: int) -> "PixelFacts":
        """The same for the upright picture of so many channels: names that are not as many are left out.

        Georeference is meant for the pixels as stored, so a picture that is turned has none.
        """
        names = self.channels if len(self.channels) == channels else ()
        spacing = self.spacing
        if spacing and swaps_sides(orientation):
            spacing = spacing[::-1]
        geo = self.geo if orientation == UPRIGHT else ()
        return replace(self, spacing=spacing, channels=names, geo=geo)


@dataclass(frozen=True, eq=False)
class LazyImage:
    """An image [channels, *size] of `dtype`, whose boxes `read` gives: [channels, height, width].

    read: may be called by several threads at once, with boxes within the image; ImageError where the file
    turns out to be damaged. notes: as of `Image`. whole: the array, where it is in memory already; `read`
    then gives parts of it, not copies. let_go: has `read` forget what it keeps of what it has decoded.
    """

    channels: int
    size: Size
    dtype: np.dtype[Any]
    read: Callable[[Box], ImageArray]
    facts: PixelFacts = field(default_factory=PixelFacts)
    notes: tuple[str, ...] = ()
    whole: ImageArray | None = None
    let_go: Callable[[], None] = lambda: None


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image as its file has it, not yet turned upright.

    read: the pixels of a box of the stored picture; None where they can only be decoded all at once. nbytes:
    of all pixels, decoded. notes: about the way it is stored. let_go: as of `LazyImage`.
    """

    size: Size
    nbytes: int
    read: Callable[[Box], Pixels] | None
    orientation: int = UPRIGHT
    facts: PixelFacts = field(default_factory=PixelFacts)
    notes: tuple[str, ...] = ()
    let_go: Callable[[], None] = lambda: None


def in_memory(array: ImageArray, facts: PixelFacts | None = None, notes: tuple[str, ...] = ()) -> LazyImage:
    """An array [C, H, W] as an image whose boxes are read."""
    size = Size(array.shape[1], array.shape[2])
    return LazyImage(
        channels=len(array),
        size=size,
        dtype=array.dtype,
        read=lambda box: array[:, *box.slices],
        facts=facts or PixelFacts(),
        notes=notes,
        whole=array,
    )


def spacing_of(height: Any, width: Any, unit: str | None) -> PixelFacts:
    """The facts of a pixel of this height and width; none if the numbers or the unit are of no use."""
    factor, known = _UNITS.get((unit or "").strip().lower(), (0.0, "px"))
    try:
        spacing = float(height) * factor, float(width) * factor
    except (TypeError, ValueError):
        return PixelFacts()
    if not all(0 < side < float("inf") for side in spacing):
        return PixelFacts()
    return PixelFacts(spacing=spacing, unit=known)
