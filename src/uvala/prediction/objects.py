"""The objects of predictions as files: label images, GeoJSON, COCO, tables of measurements."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import LabelMap
from uvala.errors import ShapeError, UnknownNameError, did_you_mean
from uvala.files import write_text
from uvala.images.boxes import PixelFacts
from uvala.images.write import write_mask
from uvala.instances.coco import CocoImage
from uvala.instances.geojson import to_geojson
from uvala.instances.large import write_large_objects
from uvala.instances.measure import measure_objects, write_table
from uvala.prediction.coco_lines import CocoLines, as_json
from uvala.prediction.engine import Prediction
from uvala.prediction.large import LargePrediction
from uvala.prediction.results import write_map

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
    `unit`, for the measurements of images that do not say it themselves. resume: whether images of an earlier
    time, whose files are there, belong to those of the COCO file.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Iterable[str],
        *,
        spacing: tuple[float, float] = (1.0, 1.0),
        unit: str = "px",
        resume: bool = False,
    ) -> None:
        self.folder = folder
        self.kinds = object_kinds(kinds)
        self.spacing = spacing
        self.unit = unit
        self._coco = CocoLines(folder, resume=resume) if "coco" in self.kinds else None

    def write(
        self, target: Path, file_name: str, prediction: Prediction, facts: PixelFacts | None = None
    ) -> int:
        """Write the objects of a prediction; how many there are.

        target: where the files lie in the folder, without suffix. file_name: what COCO calls the image.
        facts: of the image, the size of its pixels among them.
        StorageError if there is no room or no permission.
        """
        labels = prediction.objects
        path = self.folder / target.parent
        if "labels" in self.kinds:
            write_mask(path / f"{target.name}.tif", _label_image(labels))
        if {"geojson", "csv", "coco"}.intersection(self.kinds):
            self._describe(path / target.name, file_name, prediction, facts)
        return int(np.count_nonzero(np.bincount(labels.ravel(), minlength=1)[1:]))

    def write_large(self, target: Path, file_name: str, large: LargePrediction) -> int:
        """Write the objects of an image that no memory holds; how many there are.

        ShapeError for COCO, whose run lengths are those of whole images.
        """
        if "coco" in self.kinds:
            raise ShapeError(
                found=f"the objects of {file_name} as COCO, an image of {large.image.size} pixels",
                expected="an image that is predicted in memory",
                fix="write its objects as labels, geojson or csv",
            )
        folder = self.folder / target.parent
        facts = large.image.facts
        if "labels" in self.kinds:
            write_map(folder / target.name, "zarr" if large.form == "zarr" else "tiff", large.numbers, facts)
        if not {"geojson", "csv"}.intersection(self.kinds):
            return large.count
        spacing, unit = self._spacing(facts)
        decoding = large.predictor.card.objects.settings
        return write_large_objects(
            large.labels,
            class_name=large.predictor.card.encoding.names[decoding.object_class],
            table=folder / f"{target.name}.csv" if "csv" in self.kinds else None,
            geojson=folder / f"{target.name}.geojson" if "geojson" in self.kinds else None,
            image=large.image.read,
            foreground=large.foreground,
            spacing=spacing,
            unit=unit,
        )

    def finish(self) -> None:
        """Write what is about all images together."""
        if self._coco:
            self._coco.finish()

    def _describe(self, path: Path, file_name: str, prediction: Prediction, facts: PixelFacts | None) -> None:
        labels = prediction.objects
        class_name = prediction.encoding.names[prediction.decoding.object_class]
        spacing, unit = self._spacing(facts)
        columns = measure_objects(
            labels, prediction.image, spacing=spacing, unit=unit, foreground=prediction.foreground
        )
        if "csv" in self.kinds:
            write_table(columns, path.with_name(f"{path.name}.csv"))
        if "geojson" in self.kinds:
            collection = to_geojson(labels, class_name=class_name, measurements=columns)
            write_text(path.with_name(f"{path.name}.geojson"), as_json(collection))
        if self._coco:
            self._coco.add(class_name, CocoImage(file_name, labels, columns["score"]))

    def _spacing(self, facts: PixelFacts | None) -> tuple[tuple[float, float], str]:
        """The size of a pixel, and its unit."""
        if facts is None or facts.spacing is None:
            return self.spacing, self.unit
        return facts.spacing, facts.unit


def _label_image(labels: LabelMap) -> NDArray[Any]:
    """The labels in 16 bits, which every viewer reads, or in 32 if there are too many."""
    return labels.astype(np.uint16) if labels.max(initial=0) <= np.iinfo(np.uint16).max else labels
