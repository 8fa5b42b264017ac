"""A contact sheet of augmented patches: one row each, as it is on the left, changed versions beside it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from uvala.arrays import ClassMap, Size
from uvala.images.display import lay_over, to_display
from uvala.report.content import AugmentedPatch
from uvala.report.pictures import Colour, Picture, embedded, webp_below

__all__ = ["contact_sheet", "first_column"]

CELL = 192  # side of a patch on the sheet, pixels: six fill a laptop's page
GAP, WIDE_GAP, FRAME = 6, 22, 10  # between the patches, beside those that are as they are, around all of them
TABLE = (50, 55, 61)  # what the patches lie on, by day and by night: black and white ones stand out alike
FILL, FAINT = 0.16, 0.06  # how much the colours cover of many classes, and of one: intensities stay visible
QUALITIES = (80, 50, 20)  # WebP, the first that keeps the sheet below MOST_BYTES
MOST_BYTES = 240_000

Rgb = NDArray[np.uint8]


def contact_sheet(patches: Sequence[AugmentedPatch], colours: Colour) -> Picture:
    """All of `patches` as one picture, with the outlines of their classes. colours: uint8 [K, 3].

    The versions of a patch share their levels: a brighter one looks brighter.
    """
    columns = max(len(patch.images) for patch in patches)
    sheet = np.full((*_size(len(patches), columns), 3), TABLE, np.uint8)
    for row, patch in enumerate(patches):
        top = FRAME + row * (CELL + GAP)
        # side by side as one image, so that they are stretched to what a screen shows as one
        strip = to_display(np.concatenate(list(patch.images), axis=2))
        for column, photo in enumerate(np.split(strip, len(patch.images), axis=1)):
            left = _left(column)
            sheet[top : top + CELL, left : left + CELL] = _cell(photo, patch.truths[column], colours)
    content = webp_below(sheet, MOST_BYTES, QUALITIES)
    return embedded("webp", content, sheet, "patches as they are and as the training changes them")


def first_column(columns: int) -> float:
    """Share of the sheet's width that the patches as they are take, with half of the gap beside them."""
    return (_left(1) - WIDE_GAP / 2) / _size(1, columns).width


def _size(rows: int, columns: int) -> Size:
    return Size(2 * FRAME + rows * (CELL + GAP) - GAP, _left(columns) - GAP + FRAME)


def _left(column: int) -> int:
    return FRAME + column * (CELL + GAP) + (WIDE_GAP - GAP) * (column > 0)


def _cell(photo: Rgb, truth: ClassMap, colours: Colour) -> Rgb:
    """A patch [P, P, 3] with its classes, uint8 [P, P], at the size of the sheet, which a line keeps."""
    enlarged = len(photo) < CELL
    how = Pillow.Resampling.BICUBIC if enlarged else Pillow.Resampling.LANCZOS
    resized = np.asarray(Pillow.fromarray(photo).resize((CELL, CELL), how))
    index = ((np.arange(CELL) + 0.5) * len(truth) / CELL).astype(int)
    return lay_over(resized, truth[np.ix_(index, index)], colours, FILL if len(colours) > 2 else FAINT)
