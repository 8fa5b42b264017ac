"""Objects in pictures: each in a colour, the same in truth and prediction, and their errors by kind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, ClassMap, ImageArray, LabelMap
from uvala.images.display import ERROR_COLOURS, class_colours, overlay
from uvala.metrics.mistakes import ObjectErrors, object_errors
from uvala.metrics.overlap import Overlaps, overlaps
from uvala.report.sentences import listed, plural

__all__ = ["OBJECT_COLOURS", "OUTLINE", "Compared", "compare", "object_overlay", "paint_kinds"]

Kinds = NDArray[np.uint8]
Rgb = NDArray[np.uint8]

OBJECT_COLOURS = {
    "no object": ERROR_COLOURS["right, background"],
    "found": ERROR_COLOURS["right"],
    "missed": ERROR_COLOURS["missed"],
    "spurious": ERROR_COLOURS["spurious"],
    "split": (255, 210, 63),
    "merged": (226, 118, 214),
    "ignored": ERROR_COLOURS["ignored"],
}
"""What happened to objects, for legends; kinds that pixel errors have too keep their colour."""

OUTLINE = (255, 255, 255)  # of true objects
SEAM = (16, 17, 20)  # between predicted objects, so that a split can be seen
TINTS = 7  # colours that objects take in turn; with more, neighbours would be told apart no better


@dataclass(frozen=True, eq=False)
class Compared:
    """The objects of an image, compared. All arrays are uint8 [H, W].

    kinds: what happened at each pixel, places in OBJECT_COLOURS. true_tints, tints: the colour of each true
    and each predicted object, 1 to TINTS, 0 outside objects; a predicted object has the colour of the true
    one that it covers most of. words: the errors, counted, as a sentence.
    """

    kinds: Kinds
    true_tints: ClassMap
    tints: ClassMap
    words: str


def compare(truth: ClassMap, true_objects: LabelMap, objects: LabelMap) -> Compared:
    """The objects of a whole image, int32 [H, W]; of a part alone, what is cut off would not match.

    truth: uint8 [H, W]; where it is IGNORE, nothing counts.
    """
    counted = truth != IGNORE
    found = overlaps(objects, true_objects, counted=None if counted.all() else counted)
    errors = object_errors(found)
    true_tints, tints = _tints(found)
    return Compared(
        kinds=_kinds(errors, true_objects, objects, counted),
        true_tints=_spread(true_objects, found.true_ids, true_tints),
        tints=_spread(objects, found.predicted_ids, tints),
        words=_words(errors, len(found.true_ids)),
    )


def paint_kinds(kinds: Kinds, true_objects: LabelMap, objects: LabelMap) -> Rgb:
    """Kinds of errors in their colours, with the outlines of the objects: uint8 [H, W, 3]."""
    picture = np.array(list(OBJECT_COLOURS.values()), np.uint8)[kinds]
    counted = kinds != list(OBJECT_COLOURS).index("ignored")
    picture[_touching(objects) & (objects > 0) & counted] = SEAM
    picture[_edges(true_objects) & (true_objects > 0) & counted] = OUTLINE
    return picture


def object_overlay(image: ImageArray, objects: LabelMap, tints: ClassMap) -> Rgb:
    """`image` [C, H, W] with its objects filled with their tints and outlined one by one: uint8 [H, W, 3]."""
    colours = class_colours(TINTS + 1)
    picture = overlay(image, tints, colours, alpha=0.38, outline=False)
    edge = _edges(objects) & (tints > 0)
    # a little white in the line sets it off from a fill of the same colour
    picture[edge] = (0.7 * colours[tints[edge]] + 0.3 * 255).round().astype(np.uint8)
    return picture


def _kinds(
    errors: ObjectErrors, true_objects: LabelMap, objects: LabelMap, counted: NDArray[np.bool_]
) -> Kinds:
    names = list(OBJECT_COLOURS)
    kinds = np.zeros(counted.shape, np.uint8)
    # later ones cover earlier ones: what is spurious often lies on something missed, and both are to be seen
    for labels, numbers, name in (
        (objects, errors.matched_predicted, "found"),
        (true_objects, errors.missed, "missed"),
        (objects, errors.spurious, "spurious"),
        (true_objects, errors.split, "split"),
        (objects, errors.merged, "merged"),
    ):
        if numbers.size:
            kinds[_spread(labels, numbers, np.ones(numbers.size, np.uint8)) > 0] = names.index(name)
    kinds[~counted] = names.index("ignored")
    return kinds


def _words(errors: ObjectErrors, objects: int) -> str:
    """The errors of an image as a sentence."""
    counts = (
        (errors.missed.size, "missed"),
        (errors.spurious.size, "spurious"),
        (errors.split.size, "split"),
        (errors.merged.size, "merged"),
    )
    said = [f"{number:,} {kind}" for number, kind in counts if number]
    of = plural(objects, "true object")
    return f"{of}: {listed(said)}." if said else f"{of}, and none missed, spurious, split or merged."


def _tints(found: Overlaps) -> tuple[ClassMap, ClassMap]:
    """Tints of the true objects, in turn, and of the predicted ones, after the true ones that they cover."""
    true_tints, tints = (
        (1 + np.arange(len(ids)) % TINTS).astype(np.uint8) for ids in (found.true_ids, found.predicted_ids)
    )
    # the largest share of each predicted object is written last
    order = np.argsort(found.intersections, kind="stable")
    tints[found.predicted[order]] = true_tints[found.true[order]]
    return true_tints, tints


def _spread(labels: LabelMap, numbers: NDArray[np.int64], values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The value of each pixel's object, uint8 [H, W]; 0 outside `numbers`, which ascend."""
    if not numbers.size:
        return np.zeros(labels.shape, np.uint8)
    largest = int(labels.max(initial=0))
    if largest > labels.size:  # numbers of objects may be anything, and a table of them would be too long
        places = np.searchsorted(numbers, labels).clip(max=numbers.size - 1)
        return np.where(numbers[places] == labels, values[places], np.uint8(0))
    table = np.zeros(largest + 1, np.uint8)
    table[numbers] = values
    return table[labels]


def _edges(labels: LabelMap) -> NDArray[np.bool_]:
    """Pixels with another label above, below, left or right; the image's border is no edge."""
    edge = np.zeros(labels.shape, np.bool_)
    rows, columns = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= rows
    edge[:-1] |= rows
    edge[:, 1:] |= columns
    edge[:, :-1] |= columns
    return edge


def _touching(objects: LabelMap) -> NDArray[np.bool_]:
    """Pixels to the right of or below another object, so that a seam is one pixel wide."""
    seam = np.zeros(objects.shape, np.bool_)
    seam[1:] |= (objects[1:] != objects[:-1]) & (objects[:-1] > 0)
    seam[:, 1:] |= (objects[:, 1:] != objects[:, :-1]) & (objects[:, :-1] > 0)
    return seam
