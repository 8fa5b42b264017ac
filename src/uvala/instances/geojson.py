"""Objects as GeoJSON polygons, in the form that QuPath reads and writes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uvala.errors import ShapeError
from uvala.instances.outlines import Polygon, polygons

__all__ = ["rings_of", "to_features", "to_geojson"]

COLOUR = (230, 159, 0)  # orange of Okabe and Ito (2008), which red-green blind people see as well


def to_geojson(
    labels: NDArray[Any],
    *,
    class_name: str,
    scores: ArrayLike | None = None,
    measurements: Mapping[str, ArrayLike] | None = None,
    object_type: Literal["annotation", "detection"] = "detection",
    colour: Sequence[int] = COLOUR,
) -> dict[str, Any]:
    """A FeatureCollection with one feature per object, in the order of the objects' numbers.

    labels: integers [H, W], 0 background. Coordinates are x, y in pixels along the pixels' edges, with (0, 0)
    at the upper left corner of the image: the area of a geometry is the number of pixels, exactly. Parts of
    an object that meet at corners only, or not at all, make a MultiPolygon.

    class_name and colour (red, green, blue, 0 to 255) are the classification in QuPath. object_type: QuPath
    draws thousands of detections at ease; annotations can be edited there. scores and measurements: a value
    per object, float [n]; the columns of `measure_objects` will do. What is NaN or infinite, which JSON has
    not, is left out. The object's number is its name and its measurement "label".

    Raises ShapeError for what is not a label map and for values that are not one per object.
    Source: RFC 7946; objectType, classification and measurements as QuPath 0.4 and later read them.
    """
    columns = dict(measurements or {})
    if scores is not None:
        columns["score"] = scores
    found = to_features(
        polygons(labels), columns, class_name=class_name, object_type=object_type, colour=colour
    )
    return {"type": "FeatureCollection", "features": found}


def to_features(
    outlines: Mapping[int, list[Polygon]],
    measurements: Mapping[str, ArrayLike],
    *,
    class_name: str,
    object_type: Literal["annotation", "detection"] = "detection",
    colour: Sequence[int] = COLOUR,
) -> list[dict[str, Any]]:
    """The features of `to_geojson`, of some objects whose polygons are known."""
    columns = {**measurements, "label": list(outlines)}
    values = {name: _column(name, column, len(outlines)) for name, column in columns.items()}
    return [
        {
            "type": "Feature",
            "geometry": _geometry(parts),
            "properties": {
                "objectType": object_type,
                "name": str(number),
                "classification": {"name": class_name, "color": [int(value) for value in colour]},
                "measurements": {
                    name: column[index] for name, column in values.items() if np.isfinite(column[index])
                },
            },
        }
        for index, (number, parts) in enumerate(outlines.items())
    ]


def _geometry(parts: list[Polygon]) -> dict[str, Any]:
    rings = [rings_of(part) for part in parts]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def rings_of(polygon: Polygon) -> list[Any]:
    """The coordinates of a polygon: those of its outer ring, then those of its holes."""
    return [ring.tolist() for ring in (polygon.outer, *polygon.holes)]


def _column(name: str, column: ArrayLike, count: int) -> list[Any]:
    """The values as Python numbers; bools as 0 and 1, since QuPath measures in numbers."""
    values = np.asarray(column)
    if values.shape != (count,) or values.dtype.kind not in "buif":
        raise ShapeError(
            found=f"values '{name}' of shape {values.shape} and type {values.dtype}",
            expected=f"a number for each of the {count} objects, in the order of their numbers",
            fix="make them with measure_objects from the same labels",
        )
    return [int(value) for value in values] if values.dtype.kind == "b" else values.tolist()
