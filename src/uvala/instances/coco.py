"""Objects as COCO instances: run lengths of each object's mask, and the file around them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uvala.arrays import Box, LabelMap, Size
from uvala.errors import ShapeError
from uvala.instances.labels import numbered, object_boxes

__all__ = ["CocoImage", "add_to_coco", "annotation_in_strips", "annotations_of", "run_lengths", "to_coco"]

Counts = NDArray[np.int64]
"""Pixels outside, inside, outside, ... an object, column by column; the first may be 0."""


@dataclass(frozen=True)
class CocoImage:
    """An image and its objects.

    labels: integers [H, W], 0 background. scores: float [n], 0 to 1, and classes: int [n], places in the list
    of categories (0 is the first); both in the order of the objects' numbers. No scores: none are written,
    as in a ground truth. No classes: all are of the first category.
    """

    file_name: str
    labels: NDArray[Any]
    scores: ArrayLike | None = None
    classes: ArrayLike | None = None


def to_coco(
    images: Iterable[CocoImage], categories: Sequence[str], *, compressed: bool = True
) -> dict[str, Any]:
    """A COCO instances file, ready for json.dumps: images, annotations and categories, with ids from 1.

    An annotation has
    segmentation    {"size": [H, W], "counts": ...}: run lengths, which pycocotools and faster-coco-eval read
                    like polygons; compressed is the short string that they write, else a list of numbers
    bbox, area      [left, top, width, height] and the number of pixels
    score           if there are scores; and iscrowd, which is 0

    Raises ShapeError for what is not a label map, and for scores and classes that are not one per object.
    Source: Lin et al. (2014), arXiv:1405.0312, and the format's description at cocodataset.org.
    """
    collection: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
    }
    for image in images:
        add_to_coco(collection, image, compressed=compressed)
    return collection


def add_to_coco(collection: dict[str, Any], image: CocoImage, *, compressed: bool = True) -> None:
    """Append an image and its objects to what `to_coco` made: no need to keep labels till the end."""
    annotations = annotations_of(
        image.labels,
        image.scores,
        image.classes,
        num_categories=len(collection["categories"]),
        compressed=compressed,
    )
    image_id = len(collection["images"]) + 1
    height, width = image.labels.shape
    collection["images"].append(
        {"id": image_id, "file_name": image.file_name, "height": height, "width": width}
    )
    first = len(collection["annotations"]) + 1
    collection["annotations"] += [
        {"id": number, "image_id": image_id, **each} for number, each in enumerate(annotations, start=first)
    ]


def annotations_of(
    labels: NDArray[Any],
    scores: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    *,
    num_categories: int = 1,
    compressed: bool = True,
    corner: tuple[int, int] = (0, 0),
    whole: Size | None = None,
) -> list[dict[str, Any]]:
    """The annotations of an image's objects as of `to_coco`, without the ids of annotation and image.

    labels, scores, classes: as of `CocoImage`. corner, whole: as of `run_lengths`.
    """
    objects, names = numbered(labels)
    size = whole or Size(*objects.shape)
    places = _classes(classes, names, num_categories)
    values = None if scores is None else _per_object("scores", scores, names)
    runs = run_lengths(objects, corner=corner, whole=size)
    counts = _strings(runs) if compressed else [each.tolist() for each in runs]
    annotations = []
    for index, box in enumerate(object_boxes(objects)):
        annotation: dict[str, Any] = {
            "category_id": int(places[index]) + 1,
            "segmentation": {"size": list(size), "counts": counts[index]},
            "bbox": [corner[1] + box.left, corner[0] + box.top, box.width, box.height],
            "area": int(runs[index][1::2].sum()),
            "iscrowd": 0,
        }
        if values is not None:
            annotation["score"] = float(values[index])
        annotations.append(annotation)
    return annotations


def annotation_in_strips(
    strips: Iterable[tuple[Box, NDArray[np.bool_]]], score: float | None, *, box: Box, whole: Size
) -> dict[str, Any]:
    """The annotation, as of `annotations_of`, of one object that is too large to be cut out.

    strips: parts of the box around it, all as high as that, from left to right, and which of their pixels are
    its own.
    """
    runs = [_runs(own.astype(np.int32), (strip.top, strip.left), whole.height)[1:] for strip, own in strips]
    starts, ends = (np.concatenate(each) for each in zip(*runs, strict=True))
    apart = starts[1:] != ends[:-1]  # a run goes on where one column of the image ends and the next begins
    starts, ends = starts[np.append(True, apart)], ends[np.append(apart, True)]
    counts = np.diff(np.stack([starts, ends], axis=1).ravel(), prepend=0)
    rest = whole.height * whole.width - ends[-1]
    annotation: dict[str, Any] = {
        "category_id": 1,
        "segmentation": {
            "size": list(whole),
            "counts": _strings([np.append(counts, rest) if rest else counts])[0],
        },
        "bbox": [box.left, box.top, box.width, box.height],
        "area": int((ends - starts).sum()),
        "iscrowd": 0,
    }
    return annotation if score is None else {**annotation, "score": score}


def run_lengths(
    labels: NDArray[Any], *, corner: tuple[int, int] = (0, 0), whole: Size | None = None
) -> list[Counts]:
    """COCO's run lengths of each object, in the order of their numbers: int64 [N] each.

    labels: integers [H, W], 0 background. The mask is read column by column; counts of pixels outside and
    inside take turns, and those outside come first, if only with 0. One pass over the image, not per object.
    corner, whole: if the labels are cut out of an image, the row and column of their first pixel there, and
    the image's size; the run lengths are then those of the image.
    """
    objects, names = numbered(labels)
    if not len(names):
        return []
    size = whole or Size(*objects.shape)
    values, starts, ends = _runs(objects, corner, size.height)
    first = np.flatnonzero(np.diff(values, prepend=0))  # the first run of each object
    before = np.concatenate([[0], ends[:-1]])
    before[first] = 0
    pairs = np.stack([starts - before, ends - starts], axis=1)
    bounds = [*first.tolist(), len(values)]
    counts = []
    for begin, end in pairwise(bounds):
        rest = size.height * size.width - ends[end - 1]
        counts.append(np.append(pairs[begin:end].ravel(), [rest] if rest else []).astype(np.int64))
    return counts


def _runs(
    objects: LabelMap, corner: tuple[int, int], height: int
) -> tuple[NDArray[np.int32], Counts, Counts]:
    """Number, start and end of each run of an object down the columns, sorted by number.

    corner: where in an image of `height` rows the objects begin; starts and ends are places there.
    """
    flat, rows = objects.ravel(order="F"), len(objects)
    changes = flat[1:] != flat[:-1]
    if rows < height:  # between two columns of a part lie other pixels of the image
        changes[rows - 1 :: rows] = True
    edges = np.flatnonzero(changes) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [flat.size]])
    order = np.argsort(flat[starts], kind="stable")
    order = order[flat[starts[order]] > 0]
    values, starts, lengths = flat[starts[order]], starts[order], (ends - starts)[order]
    columns, tops = np.divmod(starts, rows)
    places = (columns + corner[1]) * height + tops + corner[0]
    return values, places, places + lengths


def _strings(runs: list[Counts]) -> list[str]:
    """The run lengths of each object in COCO's ASCII form.

    A count is written as its difference to the count two before (the fourth count and later), in groups of
    five bits, lowest first, until the rest is the sign that the last group's highest bit says. A sixth bit
    means that more groups follow; 48 is added to make a printable letter. Source: the COCO API's description
    of its masks.
    """
    if not runs:
        return []
    counts = np.concatenate(runs)
    sizes = np.array([len(run) for run in runs])
    ends = np.cumsum(sizes)
    place = np.arange(len(counts)) - np.repeat(ends - sizes, sizes)
    rest = np.where(place > 2, counts - np.roll(counts, 2), counts)
    letters, written = [], []
    more = np.ones(len(counts), bool)
    while more.any():
        written.append(more)
        group = rest & 31
        rest = rest >> 5
        more = more & np.where(group & 16, rest != -1, rest != 0)
        letters.append(group + 48 + 32 * more)
    used = np.stack(written, axis=1)
    text = np.stack(letters, axis=1)[used].astype(np.uint8).tobytes().decode("ascii")
    bounds = np.concatenate([[0], np.cumsum(used.sum(axis=1))])[np.concatenate([[0], ends])].tolist()
    return [text[begin:end] for begin, end in pairwise(bounds)]


def _classes(given: ArrayLike | None, names: NDArray[np.int64], num_categories: int) -> NDArray[Any]:
    """The place of each object's class in the list of categories, int [n]."""
    classes = _per_object("classes", np.zeros(len(names), np.int64) if given is None else given, names)
    fits = classes.dtype.kind in "ui" and np.isin(classes, range(num_categories)).all()
    if len(names) and not fits:
        raise ShapeError(
            found=f"classes of type {classes.dtype}, {classes.min()} to {classes.max()}",
            expected=f"places in a list of {num_categories} categories, from 0",
            fix="give each object's class as its place in `categories`",
        )
    return classes


def _per_object(name: str, values: ArrayLike, names: NDArray[np.int64]) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != names.shape:
        raise ShapeError(
            found=f"{name} of shape {array.shape} for {len(names)} objects",
            expected="one per object, in the order of their numbers",
            fix="compute them from the same labels",
        )
    return array
