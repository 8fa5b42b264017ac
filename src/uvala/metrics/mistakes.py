"""What went wrong with which object: missed, spurious, split, merged; and recall by size.

Everything is given as numbers of objects, so that a report can colour them, and as records per object, so
that the objects of all images can be sorted into sizes together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.errors import ShapeError
from uvala.metrics.overlap import Overlaps, match

__all__ = ["ObjectErrors", "ObjectRecords", "SizeRecall", "object_errors", "object_records", "recall_by_size"]

Integers = NDArray[np.int64]

PART = 0.1  # of the whole: smaller pieces are specks at a border, not halves of an object


@dataclass(frozen=True, eq=False)
class ObjectErrors:
    """Numbers of the objects of one image by kind, int64, ascending.

    matched_predicted[k] and matched_true[k] are partners: IoU above 0.5.
    split: true objects in several predicted ones; split_parts: those predicted ones.
    merged: predicted objects over several true ones; merged_objects: those true ones.
    missed: true objects that are none of these. spurious: predicted objects that are none of these.

    A matched object can be split or merged as well: 70% of it in one piece, 25% in another. A map of errors
    shows split and merged before matched. Every object is in at least one kind.
    """

    matched_predicted: Integers
    matched_true: Integers
    missed: Integers
    spurious: Integers
    split: Integers
    split_parts: Integers
    merged: Integers
    merged_objects: Integers


@dataclass(frozen=True, eq=False)
class ObjectRecords:
    """The true objects of an image: areas in pixels, int64 [T], and whether each has a partner, bool [T]."""

    areas: Integers
    matched: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SizeRecall:
    """Recall per class of size.

    Class k holds areas from edges[k] to below edges[k + 1], the last one inclusive. edges float64 [K + 1];
    objects, matched int64 [K]; recall float64 [K], NaN for a class without objects.
    """

    edges: NDArray[np.float64]
    objects: Integers
    matched: Integers
    recall: NDArray[np.float64]


def object_errors(found: Overlaps) -> ObjectErrors:
    """The objects of one image by what happened to them.

    A true object is split if at least two predicted ones are parts of it: each lies with more than half of
    its pixels inside, and is at least a tenth of it. A predicted object is merged if at least two true ones
    are parts of it in the same sense. Empty arrays where a kind does not occur.
    """
    pairs = match(found, 0.5)
    parts, wholes = _several(found.predicted, found.true, found, found.predicted_areas, found.true_areas)
    covered, mergers = _several(found.true, found.predicted, found, found.true_areas, found.predicted_areas)
    missed = np.ones(found.true_ids.size, np.bool_)
    missed[np.concatenate([pairs.true, wholes, covered])] = False
    spurious = np.ones(found.predicted_ids.size, np.bool_)
    spurious[np.concatenate([pairs.predicted, parts, mergers])] = False
    return ObjectErrors(
        matched_predicted=found.predicted_ids[pairs.predicted],
        matched_true=found.true_ids[pairs.true],
        missed=found.true_ids[missed],
        spurious=found.predicted_ids[spurious],
        split=found.true_ids[wholes],
        split_parts=found.predicted_ids[parts],
        merged=found.predicted_ids[mergers],
        merged_objects=found.true_ids[covered],
    )


def object_records(found: Overlaps, *, threshold: float = 0.5) -> ObjectRecords:
    """Area and fate of each true object of one image; matched: a partner with an IoU above `threshold`."""
    matched = np.zeros(found.true_ids.size, np.bool_)
    matched[match(found, threshold).true] = True
    return ObjectRecords(found.true_areas, matched)


def recall_by_size(
    images: Sequence[ObjectRecords], *, classes: int = 4, edges: Sequence[float] | None = None
) -> SizeRecall:
    """Share of the true objects of all images that were matched, by size.

    edges: areas in pixels, ascending, that separate the classes; objects outside are not counted. None:
    quantiles of all areas, so that `classes` classes hold about as many objects each (fewer classes if many
    areas are equal). Without objects and edges, there is no class. Raises ShapeError for edges that do not
    ascend and fewer classes than one.
    """
    areas = np.concatenate([image.areas for image in images]) if images else np.empty(0, np.int64)
    matched = np.concatenate([image.matched for image in images]) if images else np.empty(0, np.bool_)
    limits = _quantiles(areas, classes) if edges is None else _ascending(edges)
    objects = np.histogram(areas, limits)[0] if limits.size > 1 else np.empty(0, np.int64)
    hits = np.histogram(areas[matched], limits)[0] if limits.size > 1 else np.empty(0, np.int64)
    recall = np.divide(hits, objects, out=np.full(objects.shape, np.nan), where=objects > 0)
    return SizeRecall(limits, objects.astype(np.int64), hits.astype(np.int64), recall)


def _several(
    part: NDArray[np.intp], whole: NDArray[np.intp], found: Overlaps, parts: Integers, wholes: Integers
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the objects that have at least two parts (second), and of those parts (first), ascending."""
    shared = found.intersections
    is_part = (2 * shared > parts[part]) & (shared >= PART * wholes[whole])
    several = np.bincount(whole[is_part], minlength=wholes.size) > 1
    return np.unique(part[is_part & several[whole]]), np.flatnonzero(several)


def _quantiles(areas: Integers, classes: int) -> NDArray[np.float64]:
    """Edges of classes of about equal size; of the same number, if all areas are equal, one class."""
    if classes < 1:
        raise ShapeError(
            found=f"classes = {classes}",
            expected="at least one class of sizes",
            fix="use 4, or give the `edges` of the classes",
        )
    if not areas.size:
        return np.empty(0)
    limits = np.unique(np.quantile(areas, np.linspace(0, 1, classes + 1)))
    return limits if limits.size > 1 else np.repeat(limits, 2)


def _ascending(edges: Sequence[float]) -> NDArray[np.float64]:
    limits: NDArray[Any] = np.asarray(edges, np.float64)
    if limits.ndim != 1 or limits.size < 2 or not (np.diff(limits) > 0).all():
        raise ShapeError(
            found=f"edges = {list(edges)}",
            expected="at least two areas in pixels, each larger than the one before",
            fix="for example [0, 100, 1000, inf]",
        )
    return limits
