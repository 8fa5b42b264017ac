"""Tables and outlines of the objects of an image of any size: what the whole image would give, byte for byte.

Only an object whose box has more pixels than `SPRAWLING` is not cut out; see `uvala.instances.sprawling`.

Objects are numbered in the order in which rows meet them. So those that begin in one band of rows have
numbers that follow one another, and a band is measured and written before the next is looked at. In a band,
a square after the other is cut out with all objects that begin in it; one that is larger is cut out alone.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, ImageArray, LabelMap, Size
from uvala.errors import ShapeError
from uvala.files import replacing
from uvala.instances.blocks import blocks_of, objects_in
from uvala.instances.coco import annotation_in_strips, annotations_of
from uvala.instances.decode import FloatMap
from uvala.instances.geojson import rings_of, to_features
from uvala.instances.label_file import Labels
from uvala.instances.measure import Columns, measure_objects, write_rows
from uvala.instances.outlines import Polygon, polygons
from uvala.instances.sprawling import SPRAWLING, Sprawling, measure_sprawling

__all__ = ["write_large_objects"]

_SCANNED = 1024  # side of the boxes in which objects are looked for, in pixels

T = TypeVar("T")


def write_large_objects(
    labels: Labels,
    *,
    class_name: str,
    table: Path | None = None,
    geojson: Path | None = None,
    annotate: Callable[[str], object] | None = None,
    image: Callable[[Box], ImageArray] | None = None,
    foreground: Callable[[Box], FloatMap] | None = None,
    spacing: tuple[float, float] = (1.0, 1.0),
    unit: str = "px",
    block: int = 512,
) -> int:
    """Write the objects of a large image as `write_table`, `to_geojson`, `to_coco` would; how many there are.

    labels: int32 [H, W], numbered in the order of rows, as `objects_in_blocks` does it; a LabelFile or an
    array. table, geojson: files, or None. annotate: takes the COCO annotation of each object, JSON without
    ids; readers that count in 32 bits, such as pycocotools, do with images of up to 2^32 pixels. image,
    foreground: give the pixels of a box, [C, height, width] and [height, width]. class_name, spacing, unit:
    as of `to_geojson` and `measure_objects`.
    Memory: some numbers per pixel of a block with the surroundings of the objects in it, or of the bounding
    box of an object that is not sprawling; one band of the files; some tens of bytes per object.

    The files are replaced when both are complete. ShapeError for other numbers, and of `measure_objects`;
    StorageError if there is no room.
    """
    cut = _Cut(
        labels, image, foreground, spacing, unit, class_name if geojson else None, annotate is not None
    )
    boxes = _boxes(labels)
    with ExitStack() as stack:
        rows = stack.enter_context(_text(table)) if table else None
        features = stack.enter_context(_text(geojson)) if geojson else None
        _write(_bands(cut, boxes, block), rows, features, annotate)
    return len(boxes)


class _Part(NamedTuple):
    """Some objects: the columns of their table; GeoJSON feature and COCO annotation of each, if wanted."""

    columns: Columns
    features: list[Iterable[str]]  # each in as many pieces as it is made in
    annotations: list[str]


def _write(
    parts: Iterator[_Part],
    table: TextIO | None,
    geojson: TextIO | None,
    annotate: Callable[[str], object] | None,
) -> None:
    if geojson:
        geojson.write('{"type":"FeatureCollection","features":[')
    between = ""
    for index, part in enumerate(parts):
        if table:
            write_rows(part.columns, table, header=index == 0)
        for feature in part.features:
            assert geojson is not None
            geojson.write(between)
            geojson.writelines(feature)
            between = ","
        for annotation in part.annotations:
            assert annotate is not None
            annotate(annotation)
    if geojson:
        geojson.write("]}\n")


def _bands(cut: "_Cut", boxes: NDArray[np.int32], block: int) -> Iterator[_Part]:
    """All objects, band by band; one part without objects if there are none."""
    bands = boxes[:, 0] // block
    if not len(bands):
        yield cut(np.zeros(0, np.int64), Box(0, 0, *(min(side, 1) for side in cut.labels.shape)))
    for band in np.unique(bands):
        first, last = np.searchsorted(bands, [band, band + 1])
        found = [
            cut(first + 1 + each, _around(boxes[first + each])) for each in _groups(boxes[first:last], block)
        ]
        yield _sorted(found)


def _groups(boxes: NDArray[np.int32], block: int) -> Iterator[NDArray[np.int64]]:
    """Which objects of a band are cut out together: their places in `boxes`, ascending."""
    columns = boxes[:, 1] // block
    alone = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) > block
    for index in np.flatnonzero(alone):
        yield np.array([index])
    others = np.flatnonzero(~alone)
    for column in np.unique(columns[others]):
        yield others[columns[others] == column]


def _sorted(parts: list[_Part]) -> _Part:
    """Several parts as one, in the order of the objects' numbers."""
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    order = np.argsort(columns["label"])
    return _Part(
        {name: values[order] for name, values in columns.items()},
        _ordered((part.features for part in parts), order),
        _ordered((part.annotations for part in parts), order),
    )


def _ordered(texts: Iterable[list[T]], order: NDArray[np.int64]) -> list[T]:
    """The texts of several parts in an order; none if none are wanted."""
    every = list(chain.from_iterable(texts))
    return [every[index] for index in order] if every else []


class _Cut(NamedTuple):
    """Cuts objects out of an image and describes them."""

    labels: Labels
    image: Callable[[Box], ImageArray] | None
    foreground: Callable[[Box], FloatMap] | None
    spacing: tuple[float, float]
    unit: str
    class_name: str | None  # None: no outlines are wanted
    annotated: bool  # whether run lengths are

    def __call__(self, numbers: NDArray[np.int64], box: Box) -> _Part:
        """The objects of these numbers, ascending, all of whose pixels lie in a box."""
        if len(numbers) == 1 and box.height * box.width > SPRAWLING:
            return self._sprawling(int(numbers[0]), box)
        objects = _chosen(self.labels[box.slices], numbers)
        columns = measure_objects(
            objects,
            None if self.image is None else self.image(box),
            foreground=None if self.foreground is None else self.foreground(box),
            spacing=self.spacing,
            unit=self.unit,
            corner=(box.top, box.left),
            whole=Size(*self.labels.shape),
        )
        columns["label"] = numbers
        annotations = self._annotations(objects, columns, box) if self.annotated else []
        if self.class_name is None:
            return _Part(columns, [], annotations)
        shapes: list[list[Polygon]] = list(polygons(objects, corner=(box.top, box.left)).values())
        outlines = dict(zip(numbers.tolist(), shapes, strict=True))
        features = to_features(outlines, columns, class_name=self.class_name)
        # as text they take a tenth of the memory
        return _Part(columns, [(_json(each),) for each in features], annotations)

    def _sprawling(self, number: int, box: Box) -> _Part:
        """One object that is not cut out."""
        whole = Size(*self.labels.shape)
        found = Sprawling(box, lambda part: self.labels[part.slices] == number)
        columns = measure_sprawling(
            found, self.image, self.foreground, spacing=self.spacing, unit=self.unit, whole=whole
        )
        columns["label"] = np.array([number])
        features: list[Iterable[str]] = []
        annotations = []
        if self.class_name is not None:
            (feature,) = to_features({number: []}, columns, class_name=self.class_name)
            features.append(_with_outline(feature, found.outline()))
        if self.annotated:
            score = float(columns["score"][0]) if "score" in columns else None
            annotation = annotation_in_strips(found.strips(), score, box=box, whole=whole)
            annotations.append(_json(annotation))
        return _Part(columns, features, annotations)

    def _annotations(self, objects: LabelMap, columns: Columns, box: Box) -> list[str]:
        found = annotations_of(
            objects, columns.get("score"), corner=(box.top, box.left), whole=Size(*self.labels.shape)
        )
        return [_json(each) for each in found]


def _with_outline(feature: Any, outline: Iterable[Polygon]) -> Iterator[str]:
    """A feature without coordinates with those of polygons, as text; one after the other, as they come."""
    before, after = _json(feature).split('"coordinates":[]', 1)
    yield f'{before}"coordinates":['
    for index, polygon in enumerate(outline):
        yield "," * (index > 0) + _json(rings_of(polygon))
    yield f"]{after}"


def _chosen(labels: LabelMap, numbers: NDArray[np.int64]) -> LabelMap:
    """The objects of some numbers, ascending, as 1..n; 0 elsewhere."""
    if not len(numbers):
        return np.zeros(labels.shape, np.int32)
    least = int(numbers[0])
    # one place for all that is less, one for all that is more
    new = np.zeros(int(numbers[-1]) - least + 3, np.int32)
    new[numbers - least + 1] = np.arange(1, len(numbers) + 1)
    return new[np.clip(labels - (least - 1), 0, len(new) - 1)]


def _boxes(labels: Labels) -> NDArray[np.int32]:
    """The box around each object, int32 [n, 4]; ShapeError unless they are numbered in the order of rows."""
    found = [(np.zeros(0, np.int32), np.zeros((0, 4), np.int32))]
    for box in blocks_of(Size(*labels.shape), _SCANNED):
        numbers, _, _, boxes = objects_in(labels[box.slices])
        found.append((numbers, (boxes + np.array([*box[:2], *box[:2]])).astype(np.int32)))
    numbers, boxes = (np.concatenate(each) for each in zip(*found, strict=True))
    around = np.full((int(numbers.max(initial=0)), 4), np.iinfo(np.int32).max)
    np.minimum.at(around, numbers - 1, boxes * np.array([1, 1, -1, -1], np.int32))
    around[:, 2:] *= -1
    missing = (around[:, 2] < 0).any()
    if missing or (np.diff(around[:, 0]) < 0).any():
        raise ShapeError(
            found=f"numbers up to {len(around)}, "
            + ("not all of which occur" if missing else "not in the order of rows"),
            expected="objects numbered 1 to n in the order in which rows meet them",
            fix="number them with objects_in_blocks",
        )
    return around.astype(np.int32)


def _around(boxes: NDArray[np.int32]) -> Box:
    return Box(*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """A stream into a text file that is there when it is complete."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _json(feature: Any) -> str:
    return json.dumps(feature, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
