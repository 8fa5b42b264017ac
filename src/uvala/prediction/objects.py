"""The objects of predictions as files: label images, GeoJSON, COCO, tables of measurements."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import LabelMap
from uvala.errors import UnknownNameError, did_you_mean
from uvala.files import write_text
from uvala.images.write import write_mask
from uvala.instances.coco import CocoImage, add_to_coco, to_coco
from uvala.instances.geojson import to_geojson
from uvala.instances.measure import measure_objects, write_table
from uvala.prediction.engine import Prediction

__all__ = ["KINDS", "ObjectFiles", "object_kinds"]

KINDS = ("labels", "geojson", "coco", "csv")
"""What objects can be written as."""


def object_kinds(names: Iterable[str]) -> tuple[str, ...]:
    """The kinds of files that some names, each of them one kind or several with commas, ask for.

    In the order of KINDS, each once. UnknownNameError for any other name.
    """
    asked = {name.strip().lower() for each in names for name in each.split(",") if name.strip()}
    for name in sorted(asked.difference(KINDS)):
        raise UnknownNameError(
            found=f"objects as '{name}'",
            expected=f"some of {', '.join(KINDS)}",
            fix=did_you_mean(name, KINDS),
        )
    return tuple(kind for kind in KINDS if kind in asked)


class ObjectFiles:
    """Writes the objects of one image after the other to a folder.

        labels     NAME.tif        numbers of objects, 16 bits, or 32 if there are more than 65535
        geojson    NAME.geojson    polygons with measurements, for QuPath and others
        csv        NAME.csv        a row of measurements per object; no rows if there are none
        coco       coco.json       run lengths of all images together; written by `finish`

    folder: made when the first file is written. kinds: some of KINDS. spacing: height and width of a pixel in
    `unit`, for the measurements.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Iterable[str],
        *,
        spacing: tuple[float, float] = (1.0, 1.0),
        unit: str = "px",
    ) -> None:
        self.folder = folder
        self.kinds = object_kinds(kinds)
        self.spacing = spacing
        self.unit = unit
        self._coco: dict[str, Any] | None = None

    def write(self, target: Path, file_name: str, prediction: Prediction) -> int:
        """Write the objects of a prediction; how many there are.

        target: where the files lie in the folder, without suffix. file_name: what COCO calls the image.
        StorageError if there is no room or no permission.
        """
        labels = prediction.objects
        path = self.folder / target.parent
        if "labels" in self.kinds:
            write_mask(path / f"{target.name}.tif", _label_image(labels))
        if {"geojson", "csv", "coco"}.intersection(self.kinds):
            self._describe(path / target.name, file_name, prediction)
        return int(np.count_nonzero(np.bincount(labels.ravel(), minlength=1)[1:]))

    def finish(self) -> None:
        """Write what is about all images together."""
        if "coco" in self.kinds:
            write_text(self.folder / "coco.json", _json(self._coco or to_coco([], [])))

    def _describe(self, path: Path, file_name: str, prediction: Prediction) -> None:
        labels = prediction.objects
        class_name = prediction.encoding.names[prediction.decoding.object_class]
        columns = measure_objects(
            labels, prediction.image, spacing=self.spacing, unit=self.unit, foreground=prediction.foreground
        )
        if "csv" in self.kinds:
            write_table(columns, path.with_name(f"{path.name}.csv"))
        if "geojson" in self.kinds:
            collection = to_geojson(labels, class_name=class_name, measurements=columns)
            write_text(path.with_name(f"{path.name}.geojson"), _json(collection))
        if "coco" in self.kinds:
            self._coco = self._coco or to_coco([], [class_name])
            add_to_coco(self._coco, CocoImage(file_name, labels, columns["score"]))


def _label_image(labels: LabelMap) -> NDArray[Any]:
    """The labels in 16 bits, which every viewer reads, or in 32 if there are too many."""
    return labels.astype(np.uint16) if labels.max(initial=0) <= np.iinfo(np.uint16).max else labels


def _json(content: dict[str, Any]) -> str:
    """On one line: indented, each coordinate would be a line."""
    return json.dumps(content, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"
