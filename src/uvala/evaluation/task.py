"""What a data set asks for: classes of pixels, cells parted by membranes, or objects one by one.

Ours. Membranes are known by what they do: a thin network that hangs together and parts the rest into many
cells. The limits stand where the data that we know leave room: membranes of electron microscopy have a share
of cells of 0.75 to 0.82 in 88 to 136 pieces and a half-width of 0.1 to 0.2 of a cell's radius; the glass
between crowded nuclei is at 0.75 and beyond, and the ground around roads and vessels is one or two pieces.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import IGNORE, ClassMap
from uvala.errors import ConfigError
from uvala.evaluation.scores import Task
from uvala.instances.components import connected_components

__all__ = ["LOOKED_AT", "FoundTask", "find_task"]

LOOKED_AT = 8
"""Masks that are enough to tell: the kinds differ in every one of them."""

_SIDE = 1024  # pixels, of what is looked at in a mask: the distances of 16 million pixels take seconds
_SHARE = 0.5  # of the pixels, at least, is cell
_CELLS = 8  # at least, in one image
_LARGEST = 0.5  # of all cell pixels, less than this in one cell: else it is a ground with islands
_WALL = 0.4  # of a cell's radius, at most, is the half-width of the membrane
_NETWORK = 0.5  # of the membrane, at least, hangs together
_THIN = 8.0  # times as long as wide, at least, are the pieces of a class whose connections matter


@dataclass(frozen=True)
class FoundTask:
    """What the masks ask for. cell: the class that membranes part, or whose pixels are objects.

    thin: classes whose pieces are much longer than wide, such as vessels. reason: why, as half a sentence.
    """

    task: Task
    cell: int = 1
    thin: tuple[int, ...] = ()
    reason: str = ""

    @property
    def membrane(self) -> int:
        """The class that parts the cells; of use where the task is membranes."""
        return 1 - self.cell


def find_task(
    truths: Iterable[ClassMap],
    num_classes: int,
    *,
    numbered: bool = False,
    wish: Task | None = None,
    class_names: Sequence[str] = (),
) -> FoundTask:
    """What some masks ask for; most of those that can tell decide.

    truths: uint8 [H, W], 0 to num_classes - 1, and IGNORE; a few are enough. numbered: whether the masks
    number objects. wish: the task if a user named it; then only the classes are looked for. class_names: for
    the reason. Membranes are possible with two classes only, and ConfigError is raised if they are wished for
    with another number; where nothing tells, the task is semantic.

    Of a mask with more than 1024 rows or columns, 1024 of these are looked at, around a pixel of the rarest
    class in it: the middle one (median) of its rows, and of that row. Classes that are only elsewhere in it
    are not seen, and cells so large that fewer than eight of them lie there are no cells between membranes.
    """
    if wish == "membranes" and num_classes != 2:
        raise ConfigError(
            found=f"the task membranes with {num_classes} classes",
            expected="two classes, membrane and cell",
            fix="choose semantic or instances, or merge the classes of the masks to two",
        )
    looked = [_look(truth, num_classes) for truth in truths]
    parted = [cell for _, cell in looked if cell is not None]
    telling = sum(len(present) > 1 for present, _ in looked)
    cell = max(sorted(set(parted)), key=parted.count, default=1)
    thin = tuple(
        index
        for index in range(num_classes)
        if (shapes := [present[index] for present, _ in looked if index in present])
        and median(shapes) >= _THIN
    )
    if wish is not None:
        reason = f"as asked for{_whose(num_classes, class_names) if wish == 'instances' else ''}"
        return FoundTask(wish, cell if wish == "membranes" else 1, thin, reason)
    if numbered:
        reason = f"the masks number objects{_whose(num_classes, class_names)}"
        return FoundTask("instances", 1, thin, reason)
    if num_classes == 2 and parted.count(cell) * 2 > telling:
        return FoundTask("membranes", cell, thin, "the masks are a thin network between many cells")
    return FoundTask("semantic", 1, thin, "the masks name the class of each pixel")


def _whose(num_classes: int, class_names: Sequence[str]) -> str:
    """Of several classes, the one whose objects are scored, in words."""
    if num_classes <= 2:
        return ""
    name = f"'{class_names[1]}'" if class_names else "1"
    return f"; of these classes, only objects of class {name} are scored"


def _window(truth: ClassMap, num_classes: int) -> ClassMap:
    """At most 1024 x 1024 pixels of a mask, around a pixel of the rarest class present."""
    if max(truth.shape) <= _SIDE:
        return truth
    counts = np.bincount(truth.ravel(), minlength=256)[:num_classes]
    present = np.flatnonzero(counts)
    rare = truth == (present[counts[present].argmin()] if present.size else IGNORE)
    row = _middle(rare.sum(axis=1))
    middle = row, _middle(rare[row])
    starts = [
        min(max(0, at - _SIDE // 2), max(0, size - _SIDE))
        for at, size in zip(middle, truth.shape, strict=True)
    ]
    return truth[tuple(slice(start, start + _SIDE) for start in starts)]


def _middle(counts: NDArray[Any]) -> int:
    """Where the middle one lies of things counted by place, [N]; 0 of nothing."""
    below = counts.cumsum()
    return int(np.searchsorted(below, (below[-1] + 1) // 2))


def _look(whole: ClassMap, num_classes: int) -> tuple[dict[int, float], int | None]:
    """How long for their width the pieces of each class present are, and which class membranes part."""
    truth = _window(whole, num_classes)
    present = np.flatnonzero(np.bincount(truth.ravel(), minlength=256)[:num_classes]).tolist()
    masks = {index: truth == index for index in present}
    shapes = {index: _length_over_width(mask) for index, mask in masks.items()}
    if num_classes != 2 or len(present) != 2:
        return shapes, None
    cells = [cell for cell in (0, 1) if _parts(masks[cell], masks[1 - cell], truth != IGNORE)]
    return shapes, cells[0] if cells else None


def _length_over_width(mask: NDArray[np.bool_]) -> float:
    """Area over width squared, of all pieces together: 0.8 for a disc, 10 for a strip of 10 by 1.

    The width is 4 times the mean distance to the outline, as of a strip; of a disc it would be 3 times.
    """
    pieces = ndimage.label(mask, np.ones((3, 3)))[1]
    # a border of the image is no outline: a road that leaves the image is not narrower there
    inside = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    width = max(1.0, 4 * float(inside[mask].mean()) - 1)  # the outermost pixels are at 1, not at 0.5
    return float(mask.sum()) / width**2 / max(1, pieces)


def _parts(cells: NDArray[np.bool_], membrane: NDArray[np.bool_], counted: NDArray[np.bool_]) -> bool:
    """Whether `membrane` is a thin network that parts `cells` into many."""
    if cells.sum() < _SHARE * counted.sum():
        return False
    areas = np.bincount(connected_components(cells).ravel())[1:]
    if len(areas) < _CELLS or areas.max() >= _LARGEST * areas.sum():
        return False
    half_width = np.percentile(ndimage.distance_transform_edt(~cells)[membrane], 95)
    # the cell in which a pixel lies, not the cell as such: a few large ones are most of the image
    radius = np.sqrt((areas.astype(np.float64) ** 2).sum() / areas.sum() / np.pi)
    pieces = np.bincount(connected_components(membrane, connectivity=2).ravel())[1:]
    return bool(half_width <= _WALL * radius and pieces.max() >= _NETWORK * pieces.sum())
