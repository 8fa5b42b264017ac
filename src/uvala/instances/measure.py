"""What can be measured of each object, as the columns of a table."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from uvala.arrays import ImageArray, LabelMap, Size
from uvala.errors import ShapeError
from uvala.files import write_text
from uvala.instances.labels import numbered

__all__ = ["Columns", "measure_objects", "write_rows", "write_table"]

Columns = dict[str, NDArray[Any]]
"""A table: the values of all objects under the name of each column."""

# of regionprops_table -> ours; lengths get the unit
LENGTHS = {
    "equivalent_diameter_area": "equivalent_diameter",
    "axis_major_length": "major_axis",
    "axis_minor_length": "minor_axis",
}
BOX = {"bbox-0": "top", "bbox-1": "left", "bbox-2": "bottom", "bbox-3": "right"}
ACROSS = {"left", "right"}


def measure_objects(
    labels: NDArray[Any],
    image: ImageArray | None = None,
    *,
    spacing: tuple[float, float] = (1.0, 1.0),
    unit: str = "px",
    foreground: NDArray[np.floating[Any]] | None = None,
    corner: tuple[int, int] = (0, 0),
    whole: Size | None = None,
) -> Columns:
    """Position, size, shape and intensity of each object: columns of as many values as there are objects.

    labels: integers [H, W], 0 background; objects are in the order of their numbers. image: [C, H, W] or
    [H, W], any real dtype. foreground: probability of being an object at all, floats [H, W], 0 to 1.
    spacing: height and width of a pixel in `unit`; with the unit "px" it stays (1, 1). corner, whole: if the
    labels are cut out of an image, the row and column of their first pixel there, and the image's size.

    label                              the object's number
    area_px, area_<unit>2              pixels, and their area
    centroid_row_px, _column_px        mean of the pixels' positions; the first pixel's centre is (0, 0)
    centroid_row_<unit>, _column_<unit>
    top, left, bottom, right           in pixels: rows top to bottom - 1, columns left to right - 1
    equivalent_diameter_<unit>         of the circle of that area
    perimeter_<unit>                   length of the line through the outermost pixels' centres, so smaller
                                       than the outline: 0 for lines of one or two pixels. Only if pixels are
                                       square; there is no such column otherwise
    major_axis_<unit>, minor_axis_<unit>, eccentricity, orientation_deg
                                       of the ellipse with the same second moments: 4 standard deviations, so
                                       0 across a line one pixel wide; 0 (circle) to 1 (line); angle of the
                                       major axis to the vertical, -90 to 90, counter-clockwise, which says
                                       nothing where the axes are equal
    solidity                           share of the convex hull that the object covers, above 0 to 1
    touches_edge                       whether it lies at an edge of the image and may go on behind it
    intensity_mean, _min, _max, _sum   over the object's pixels; of several channels: intensity_mean_0, ...
    score                              mean of `foreground` over the object's pixels

    With "px" the columns of area and centroid are not repeated. No value is NaN unless the image's are, an
    object of one pixel included. Raises ShapeError for what does not fit together.
    Source: scikit-image, regionprops_table (moments and perimeter as documented there).
    """
    _require_spacing(spacing, unit)
    objects, names = numbered(labels)
    pixels = _Pixels(objects, len(names))
    columns: Columns = {"label": names, "area_px": pixels.counts}
    shapes = _shapes(objects, pixels.centroids(corner), corner, spacing, unit)
    columns |= shapes | {"touches_edge": _at_edge(shapes, whole or Size(*objects.shape))}
    if image is not None:
        columns |= pixels.intensities(image)
    if foreground is not None:
        columns["score"] = pixels.sums(_fitting(foreground, objects)) / pixels.counts
    return columns


def write_table(columns: Mapping[str, NDArray[Any]], path: str | Path) -> None:
    """Write columns as CSV: a header and a row per object, none if there are no objects.

    Numbers are written in full, bools as true and false, NaN as nothing. StorageError if it cannot be.
    """
    stream = io.StringIO()
    write_rows(columns, stream, header=True)
    write_text(Path(path), stream.getvalue())


def write_rows(columns: Mapping[str, NDArray[Any]], stream: TextIO, *, header: bool) -> None:
    """Write rows of a table to a stream; header: below the names of the columns."""
    rows = csv.writer(stream, lineterminator="\n")
    if header:
        rows.writerow(columns)
    values = (np.asarray(column).tolist() for column in columns.values())
    rows.writerows([_cell(value) for value in row] for row in zip(*values, strict=True))


class _Pixels:
    """The pixels of a map of objects 1..n, brought into the order of the objects once."""

    def __init__(self, objects: LabelMap, count: int) -> None:
        inside = np.flatnonzero(objects)
        numbers = objects.ravel()[inside]
        self.shape = objects.shape
        self.order = inside[np.argsort(numbers, kind="stable")]
        self.counts = np.bincount(numbers, minlength=count + 1)[1:].astype(np.int64)
        self.starts = np.cumsum(self.counts) - self.counts

    def sums(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sum of a map, [H, W], over each object, float64 [n]."""
        return self._each(np.add, values.astype(np.float64))

    def intensities(self, image: ImageArray) -> Columns:
        """Mean, least, largest value and sum of each channel."""
        channels = image[None] if image.ndim == 2 else image
        columns: Columns = {}
        for index, channel in enumerate(channels):
            values = _fitting(channel, self)
            suffix = "" if len(channels) == 1 else f"_{index}"
            total = self.sums(values)
            columns[f"intensity_mean{suffix}"] = total / self.counts
            columns[f"intensity_min{suffix}"] = self._each(np.minimum, values)
            columns[f"intensity_max{suffix}"] = self._each(np.maximum, values)
            columns[f"intensity_sum{suffix}"] = total
        return columns

    def centroids(self, corner: tuple[int, int]) -> tuple[NDArray[np.float64], ...]:
        """The mean row and column of each object, float64 [n] each, where the first pixel's are `corner`.

        Whole numbers are summed, so that a part of an image gives the numbers of the whole to the last bit.
        """
        places = np.divmod(self.order, max(self.shape[1], 1))
        sums = (self._over(np.add, each) for each in places)
        return tuple(
            (total + self.counts * first) / self.counts for total, first in zip(sums, corner, strict=True)
        )

    def _each(self, reduce: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        return self._over(reduce, values.ravel()[self.order])

    def _over(self, reduce: np.ufunc, ordered: NDArray[Any]) -> NDArray[Any]:
        return reduce.reduceat(ordered, self.starts) if len(self.starts) else ordered


def _shapes(
    objects: LabelMap,
    centroids: tuple[NDArray[np.float64], ...],
    corner: tuple[int, int],
    spacing: tuple[float, float],
    unit: str,
) -> Columns:
    """The columns that scikit-image computes, those of position first."""
    square = spacing[0] == spacing[1]
    properties = ["area", "bbox", *LENGTHS, "eccentricity", "orientation", "solidity"]
    if square:
        properties.append("perimeter")
    some = objects if objects.size else np.zeros((1, 1), np.int32)  # it needs a pixel, not an object
    found = regionprops_table(some, properties=properties, spacing=spacing)
    columns: Columns = {"centroid_row_px": centroids[0], "centroid_column_px": centroids[1]}
    if unit != "px":
        columns[f"area_{unit}2"] = found["area"]
        columns[f"centroid_row_{unit}"] = centroids[0] * spacing[0]
        columns[f"centroid_column_{unit}"] = centroids[1] * spacing[1]
    for theirs, ours in BOX.items():
        columns[ours] = found[theirs] + (corner[1] if ours in ACROSS else corner[0])
    columns |= {f"{ours}_{unit}": found[theirs] for theirs, ours in LENGTHS.items()}
    if square:
        columns[f"perimeter_{unit}"] = found["perimeter"]
    columns["eccentricity"] = found["eccentricity"]
    columns["orientation_deg"] = np.degrees(found["orientation"])
    columns["solidity"] = found["solidity"]
    return columns


def _at_edge(columns: Columns, whole: Size) -> NDArray[np.bool_]:
    """Whether a pixel of each object is in the first or last row or column of the image, bool [n]."""
    first = (columns["top"] == 0) | (columns["left"] == 0)
    return first | (columns["bottom"] == whole.height) | (columns["right"] == whole.width)


def _fitting(values: NDArray[Any], objects: LabelMap | _Pixels) -> NDArray[Any]:
    """The map itself, bools as 0 and 1; ShapeError if it is not one real number per pixel of the objects."""
    if values.shape != objects.shape or values.dtype.kind not in "buif":
        raise ShapeError(
            found=f"values of shape {values.shape} and type {values.dtype} for labels of {objects.shape}",
            expected="a real number for each pixel: an image [C, H, W], a probability [H, W]",
            fix="give the image that the objects were found in, channels first",
        )
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _require_spacing(spacing: tuple[float, float], unit: str) -> None:
    if len(spacing) != 2 or not all(math.isfinite(size) and size > 0 for size in spacing):
        raise ShapeError(
            found=f"spacing = {spacing}",
            expected="the height and the width of a pixel, both above 0",
            fix="give (1, 1) if it is not known",
        )
    if not unit or (unit == "px" and tuple(spacing) != (1, 1)):
        raise ShapeError(
            found=f"spacing = {spacing} in the unit '{unit}'",
            expected="a unit of length for a pixel that is not 1 by 1",
            fix="say which, as in unit='um'",
        )


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if isinstance(value, float) and math.isnan(value) else value
