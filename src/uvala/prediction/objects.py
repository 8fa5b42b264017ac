"""The objects of predictions as files: label images, GeoJSON, COCO, tables of measurements."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np

from uvala.arrays import Size
from uvala.errors import UnknownNameError, did_you_mean
from uvala.files import write_text
from uvala.images.boxes import PixelFacts
from uvala.instances.coco import CocoImage
from uvala.instances.geojson import to_geojson
from uvala.instances.large import write_large_objects
from uvala.instances.measure import measure_objects, write_table
from uvala.prediction.coco_lines import CocoLines, as_json
from uvala.prediction.engine import Prediction
from uvala.prediction.large import LargePrediction
from uvala.prediction.results import numbers_map, write_map

__all__ = ["KINDS", "ObjectFiles", "object_kinds"]

KINDS = ("labels", "geojson", "coco", "csv")
"""What objects can be written as."""

_DESCRIBED = {"geojson", "coco", "csv"}  # those that need more than the numbers


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

        labels     NAME.tif        numbers of objects, 16 bits, or 32 if there are more than 65535; OME-TIFF
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
        if "labels" in self.kinds:
            numbers = numbers_map(
                lambda box: labels[box.slices], Size(*labels.shape), int(labels.max(initial=0))
            )
            write_map(self.folder / target, "tiff", numbers, facts or PixelFacts())
        if _DESCRIBED.intersection(self.kinds):
            self._describe(target, file_name, prediction, facts)
        return int(np.count_nonzero(np.bincount(labels.ravel(), minlength=1)[1:]))

    def write_large(self, target: Path, file_name: str, large: LargePrediction) -> int:
        """Write the objects of an image that no memory holds, as `write` does; how many there are."""
        image, card = large.image, large.predictor.card
        if "labels" in self.kinds:
            write_map(self.folder / target, "tiff", large.numbers, image.facts)
        if not _DESCRIBED.intersection(self.kinds):
            return large.count
        folder = self.folder / target.parent
        spacing, unit = self._spacing(image.facts)
        class_name = card.encoding.names[card.objects.settings.object_class]
        collecting: AbstractContextManager[Callable[[str], object] | None] = (
            self._coco.adding(class_name, target.as_posix(), file_name, image.size)
            if self._coco
            else nullcontext()
        )
        with collecting as annotate:
            return write_large_objects(
                large.labels,
                class_name=class_name,
                table=folder / f"{target.name}.csv" if "csv" in self.kinds else None,
                geojson=folder / f"{target.name}.geojson" if "geojson" in self.kinds else None,
                annotate=annotate,
                image=image.read,
                foreground=large.foreground,
                spacing=spacing,
                unit=unit,
            )

    def finish(self) -> None:
        """Write what is about all images together."""
        if self._coco:
            self._coco.finish()

    def _describe(
        self, target: Path, file_name: str, prediction: Prediction, facts: PixelFacts | None
    ) -> None:
        labels, path = prediction.objects, self.folder / target
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
            self._coco.add(class_name, target.as_posix(), CocoImage(file_name, labels, columns["score"]))

    def _spacing(self, facts: PixelFacts | None) -> tuple[tuple[float, float], str]:
        """The size of a pixel, and its unit."""
        if facts is None or facts.spacing is None:
            return self.spacing, self.unit
        return facts.spacing, facts.unit
